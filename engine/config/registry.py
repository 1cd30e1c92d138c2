"""The list of all settings with what each accepts, read off the schema's structs."""

import dataclasses
import math
import re
from datetime import date, datetime
from typing import Any, get_args, get_type_hints

import msgspec

from engine.config.schema import Config

Value = bool | int | float | str | tuple[str, ...]

MAX_TEXT = 4096
_SECRET = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)\Z")
_UNITS = {
    "_ms": "ms",
    "_s": "s",
    "per_s": "per second",
    "_days": "days",
    "_bytes": "bytes",
    "minutes": "min",
}


class Refused(ValueError):  # noqa: N818 - says what happened to the value
    """Raised when a value does not fit its setting; the text is what the value must be."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One key of the configuration.

    kind: bool, int, float, text, choice or texts (a list of texts). low, high: inclusive bounds of
    numbers, for `texts` of the count. form: what a text must look like beyond `pattern`. counter:
    the telemetry series that counts how often this bound was reached, empty for none.
    """

    section: str
    key: str
    kind: str
    default: Value
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    say: str = ""
    form: str = ""
    path: bool = False
    counter: str = ""

    @property
    def name(self) -> str:
        """`section.key`."""
        return f"{self.section}.{self.key}"

    @property
    def unit(self) -> str:
        """The unit that the key's last word names, empty for none."""
        for suffix in sorted(_UNITS, key=len, reverse=True):
            if self.key.endswith(suffix) and self.kind in {"int", "float"}:
                return _UNITS[suffix]
        return ""

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return f"TAPESCAN_{self.section.upper()}__{self.key.upper()}"

    def must_be(self) -> str:
        """What a value has to be, to go after "must be"."""
        if self.kind == "bool":
            return "true or false"
        if self.kind == "choice":
            *others, last = [f'"{choice}"' for choice in self.choices]
            return f"{', '.join(others)} or {last}" if others else last
        if self.kind in {"int", "float"}:
            noun = "a whole number" if self.kind == "int" else "a number"
            noun = "a power of two" if self.form == "power of two" else noun
            return f"{noun} from {self.low:.12g} to {self.high:.12g}"
        if self.kind == "texts":
            return f"a list of at most {self.high:.0f} dates like \"2013-10-07\""
        if self.say:
            return self.say
        if self.form == "instant":
            return "an RFC 3339 instant like \"2013-10-08T09:28:00-04:00\", or empty"
        if self.form == "secret":
            return "env:NAME or file:PATH, never the secret itself"
        if self.path:
            return "a path" if self.form == "filled" else "a path, or empty"
        return "a text"

    def accept(self, value: object) -> Value:
        """The value as the schema wants it; raises Refused with `must_be()`."""
        accepted = _ACCEPT[self.kind](self, value)
        if accepted is None:
            raise Refused(self.must_be())
        return accepted

    def parse(self, text: str) -> Value:
        """The value that a text from the environment or the command line stands for."""
        raw: object = text
        if self.kind == "bool":
            raw = {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
        elif self.kind == "int" and re.fullmatch(r"[+-]?\d{1,20}", text):
            raw = int(text)
        elif self.kind == "float" and re.fullmatch(r"[+-]?[\d.]{1,20}([eE][+-]?\d{1,3})?", text):
            raw = _number(text)
        elif self.kind == "texts":
            inside = text.strip().removeprefix("[").removesuffix("]")
            raw = [part.strip().strip("\"'") for part in inside.split(",") if part.strip()]
        return self.accept(raw)


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _bool(_: Setting, value: object) -> Value | None:
    return value if isinstance(value, bool) else None


def _int(setting: Setting, value: object) -> Value | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    if setting.form == "power of two" and value & (value - 1):
        return None
    return value if _within(setting, value) else None


def _float(setting: Setting, value: object) -> Value | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if _within(setting, value) else None


def _within(setting: Setting, value: float) -> bool:
    return setting.low is not None and setting.high is not None and (
        setting.low <= value <= setting.high
    )


def _choice(setting: Setting, value: object) -> Value | None:
    return value if isinstance(value, str) and value in setting.choices else None


def _text(setting: Setting, value: object) -> Value | None:
    if setting.form == "instant" and isinstance(value, datetime):
        value = value.isoformat()
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        return None
    if setting.pattern and not re.match(setting.pattern, value):
        return None
    if setting.form == "filled" and not value:
        return None
    if setting.form == "secret" and value and not _SECRET.match(value):
        return None
    if setting.form == "instant" and value and instant_ns(value) is None:
        return None
    return value


def _texts(setting: Setting, value: object) -> Value | None:
    if not isinstance(value, list | tuple) or len(value) > (setting.high or 0):
        return None
    dates = [item.isoformat() if type(item) is date else item for item in value]
    good = [item for item in dates if isinstance(item, str) and _is_date(item)]
    return tuple(good) if len(good) == len(dates) else None


_ACCEPT = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "choice": _choice,
    "text": _text,
    "texts": _texts,
}


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def instant_ns(text: str) -> int | None:
    """Nanoseconds UTC of an RFC 3339 instant with an offset and whole microseconds; None if bad."""
    if not re.match(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}", text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or not 1971 <= moment.year <= 2261:
            return None
        since = moment - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    except (ValueError, OverflowError):
        return None
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def _choices(cls: type, key: str) -> tuple[str, ...]:
    """The values of a Literal, as they are written down."""
    annotated = get_type_hints(cls, include_extras=True)[key]
    return tuple(str(value) for value in get_args(get_args(annotated)[0]))


def _setting(section: str, cls: type, field: msgspec.inspect.Field) -> Setting:
    info: Any = field.type
    extra: dict[str, Any] = {}
    schema: dict[str, Any] = {}
    while isinstance(info, msgspec.inspect.Metadata):
        extra |= info.extra or {}
        schema |= info.extra_json_schema or {}
        info = info.type
    default: Any = field.default
    low, high = getattr(info, "ge", None), getattr(info, "le", None)
    form = "power of two" if extra.get("power_of_two") else str(extra.get("form", ""))
    form = "filled" if extra.get("filled") else form
    if isinstance(info, msgspec.inspect.VarTupleType):
        low, high = 0, info.max_length
    kinds: dict[type, str] = {
        msgspec.inspect.BoolType: "bool",
        msgspec.inspect.IntType: "int",
        msgspec.inspect.FloatType: "float",
        msgspec.inspect.StrType: "text",
        msgspec.inspect.LiteralType: "choice",
        msgspec.inspect.VarTupleType: "texts",
    }
    return Setting(
        section=section,
        key=field.name,
        kind=kinds[type(info)],
        default=default,
        doc=str(schema["description"]),
        low=low,
        high=high,
        choices=_choices(cls, field.name) if kinds[type(info)] == "choice" else (),
        pattern=getattr(info, "pattern", None) or "",
        say=str(extra.get("say", "")),
        form=form,
        path=bool(extra.get("path")),
        counter=str(extra.get("counter", "")),
    )


def _collect() -> tuple[dict[str, Setting], dict[str, str]]:
    root = msgspec.inspect.type_info(Config)
    assert isinstance(root, msgspec.inspect.StructType)
    settings: dict[str, Setting] = {}
    sections: dict[str, str] = {}
    for outer in root.fields:
        section = outer.type
        assert isinstance(section, msgspec.inspect.StructType)
        sections[outer.name] = str(section.cls.__doc__)
        for field in section.fields:
            setting = _setting(outer.name, section.cls, field)
            settings[setting.name] = setting
    return settings, sections


SETTINGS, SECTIONS = _collect()
