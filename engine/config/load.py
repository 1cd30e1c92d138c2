"""Read scanner.toml, apply overrides, refuse what is wrong in one sentence."""

import dataclasses
import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.config import checks
from engine.config.errors import ConfigError
from engine.config.registry import SECTIONS, SETTINGS, Refused, Setting, Value
from engine.config.schema import Config

PREFIX = "TAPESCAN_"
DEFAULT_FILE = "scanner.toml"
BUILT_IN = "built-in defaults (no scanner.toml here)"
MAX_FILE_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A configuration and where each value came from.

    path: the file, None when there was none. values: every setting by name, paths absolute.
    sources: the file, environment variable or option of every setting that is not a default.
    """

    config: Config
    path: Path | None
    values: dict[str, Value]
    sources: dict[str, str]


def find(given: str | None, environ: Mapping[str, str] | None = None) -> Path | None:
    """The configuration file: `given`, else $TAPESCAN_CONFIG, else ./scanner.toml, else None."""
    named = given or (os.environ if environ is None else environ).get("TAPESCAN_CONFIG")
    if named:
        return Path(named)
    here = Path(DEFAULT_FILE)
    return here if here.is_file() else None


def load(
    path: Path | str | None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, tuple[str, object]] | None = None,
    check_files: bool = True,
) -> Loaded:
    """Build the configuration from a TOML file (None: defaults), the environment and options.

    environ: variables TAPESCAN_SECTION__KEY win over the file (None: this process's own).
    overrides: `section.key` -> (option, value) win over both; a text value is parsed.
    check_files: refuse files that are not there. Raises ConfigError with one sentence.
    """
    file = Path(path) if path is not None else None
    values: dict[str, Value] = {name: setting.default for name, setting in SETTINGS.items()}
    sources: dict[str, str] = {}
    if file is not None:
        values |= read_values(parse(read_text(file), str(file)), str(file))
        sources = dict.fromkeys((n for n in values if values[n] != SETTINGS[n].default), str(file))
    for name, (source, value) in _environment(os.environ if environ is None else environ).items():
        values[name], sources[name] = value, source
    for name, (source, raw) in (overrides or {}).items():
        values[name], sources[name] = _override(name, source, raw), source
    base = (file.parent if file is not None else Path()).absolute()
    values |= _paths(values, base, os.environ if environ is None else environ)
    config = build(values)
    fault_source = str(file) if file is not None else BUILT_IN
    check(config, sources, fault_source, check_files=check_files)
    return Loaded(config, file, values, sources)


def read_text(file: Path) -> str:
    """The text of a configuration file; raises ConfigError when it cannot be read."""
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ConfigError(
                str(file), "", f"has {size} bytes; a configuration has at most {MAX_FILE_BYTES}."
            )
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), "", f"is not UTF-8 at byte {error.start}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(str(file), "", f"cannot be read: {reason}.") from None


def parse(text: str, source: str) -> dict[str, Any]:
    """The TOML document as plain dicts; raises ConfigError naming line and column."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(source, "", f"is not valid TOML: {reason}.") from None


def read_values(document: Mapping[str, Any], source: str) -> dict[str, Value]:
    """Check every key of a parsed document and return the values by `section.key`."""
    values: dict[str, Value] = {}
    for section, table in document.items():
        if section not in SECTIONS:
            raise ConfigError(source, section, _unknown_section(section, table))
        if not isinstance(table, Mapping):
            raise ConfigError(source, section, f"{section} must be a section [{section}].")
        for key, raw in table.items():
            name = f"{section}.{key}"
            if name not in SETTINGS:
                raise ConfigError(source, name, unknown_setting(name))
            values[name] = _accepted(SETTINGS[name], raw, source)
    return values


def unknown_setting(name: str) -> str:
    """The sentence that refuses an unknown `section.key`, with the nearest known one."""
    section, _, key = name.rpartition(".")
    mates = {one.key: known for known, one in SETTINGS.items() if one.section == section}
    near = [known for known in SETTINGS if known.endswith(f".{key}")]
    near += [mates[found] for found in difflib.get_close_matches(key, mates, n=1, cutoff=0.6)]
    near += difflib.get_close_matches(name, SETTINGS, n=1, cutoff=0.8)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"unknown setting {_shorten(name)}{hint}"


def _unknown_section(section: str, table: object) -> str:
    if not isinstance(table, Mapping):
        near = [known for known in SETTINGS if known.endswith(f".{section}")]
        hint = f"; did you mean {near[0]}?" if near else "."
        return f"{_shorten(section)} stands outside any section{hint}"
    near = difflib.get_close_matches(section, SECTIONS, n=1, cutoff=0.6)
    hint = f"; did you mean [{near[0]}]?" if near else "."
    return f"unknown section [{_shorten(section)}]{hint}"


def _environment(environ: Mapping[str, str]) -> dict[str, tuple[str, Value]]:
    found: dict[str, tuple[str, Value]] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or "__" not in variable:
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".", 1)
        if name not in SETTINGS:
            raise ConfigError(variable, name, unknown_setting(name))
        found[name] = (variable, _override(name, variable, environ[variable]))
    return found


def _override(name: str, source: str, raw: object) -> Value:
    if name not in SETTINGS:
        raise ConfigError(source, name, unknown_setting(name))
    if not isinstance(raw, str):
        return _accepted(SETTINGS[name], raw, source)
    try:
        return SETTINGS[name].parse(raw)
    except Refused as refused:
        raise ConfigError(source, name, f"{name} must be {refused}, not {show(raw)}.") from None


def _accepted(setting: Setting, raw: object, source: str) -> Value:
    try:
        return setting.accept(raw)
    except Refused as refused:
        sentence = f"{setting.name} must be {refused}, not {show(raw)}."
        raise ConfigError(source, setting.name, sentence) from None


def show(raw: object) -> str:
    """A value as one would type it, cut to a length fit for a sentence."""
    if isinstance(raw, float):
        return repr(raw)
    try:
        return _shorten(json.dumps(raw, default=str, ensure_ascii=True))
    except (TypeError, ValueError, RecursionError):
        return _shorten(ascii(type(raw).__name__))


def _shorten(text: str) -> str:
    printable = text if text.isprintable() else ascii(text)
    return printable if len(printable) <= 80 else printable[:77] + "..."


def _paths(values: Mapping[str, Value], base: Path, environ: Mapping[str, str]) -> dict[str, Value]:
    """Absolute paths: relative ones start at `base`, an empty data_dir is the XDG state home's."""
    resolved: dict[str, Value] = {}
    for name, setting in SETTINGS.items():
        value = str(values[name])
        if setting.path and value:
            resolved[name] = os.path.normpath(base / _expand(value, environ))
    if not values["paths.data_dir"]:
        resolved["paths.data_dir"] = str(default_data_dir(environ))
    return resolved


def _expand(value: str, environ: Mapping[str, str]) -> str:
    home = environ.get("HOME", "")
    return home + value[1:] if home and (value == "~" or value.startswith("~/")) else value


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """$XDG_STATE_HOME/tapescan, or ~/.local/state/tapescan when that is unset or relative."""
    state = environ.get("XDG_STATE_HOME", "")
    if state.startswith("/"):
        return Path(state) / "tapescan"
    home = environ.get("HOME", "")
    return (Path(home) if home else Path.home()) / ".local" / "state" / "tapescan"


def build(values: Mapping[str, Value]) -> Config:
    """The Config of a complete set of accepted values."""
    tree: dict[str, dict[str, Value]] = {section: {} for section in SECTIONS}
    for name, value in values.items():
        section, _, key = name.partition(".")
        tree[section][key] = value
    return msgspec.convert(tree, Config)


def check(config: Config, sources: Mapping[str, str], fallback: str, *, check_files: bool) -> None:
    """Raise ConfigError for the first pair of settings at odds, or file that is not there.

    Of the settings that are at odds, the one that does not come from the file is to blame.
    """
    faults = [fault for test in checks.CHECKS if (fault := test(config))]
    if not faults and check_files:
        faults = [fault for fault in (checks.missing_file(config),) if fault]
    for key, sentence in faults:
        named = [name for name in SETTINGS if name in sentence and name in sources]
        foreign = [sources[name] for name in named if sources[name] != fallback]
        raise ConfigError(foreign[0] if foreign else fallback, key, sentence)
