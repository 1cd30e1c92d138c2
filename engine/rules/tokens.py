"""Cuts the text of a condition into tokens, one at a time, each with its place."""

import math
import re
from typing import Literal, NamedTuple

from engine.rules.errors import RuleTextError
from engine.rules.limits import MAX_TEXT_BYTES
from engine.rules.tree import Unit, Window
from engine.rules.words import cut

Kind = Literal["name", "number", "percent", "length", "time", "mark", "end"]

MAX_NUMBER_CHARS = 40
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}(?![0-9:])")
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FOREIGN = re.compile(r"[^\x00-\x7f]")
_PERCENT = re.compile(r" *%")
_MARK = re.compile(r">=|<=|==|!=|[-+*/(),<>]")
_UNITS: dict[str, tuple[int, Unit]] = {
    "ms": (1, "ms"), "s": (1, "s"), "m": (1, "m"), "h": (60, "m"),
}  # fmt: skip
_HINTS = {
    "≥": ">=", "≤": "<=", "≠": "!=", "×": "*", "÷": "/", "−": "-", "–": "-", "=": "==",
    "&": "and", "|": "or", "!": "not", "∧": "and", "∨": "or", "¬": "not", "[": "(", "{": "(",
}  # fmt: skip


class Token(NamedTuple):
    """A piece of text. value: of a number; of a percentage as a fraction; minutes of a time of day.
    window: of a length."""

    kind: Kind
    text: str
    offset: int
    value: float = 0.0
    window: Window | None = None

    @property
    def shown(self) -> str:
        """The token as a sentence names it."""
        if self.kind == "end":
            return "the end of the text"
        return cut(self.text)


class Tokens:
    """The tokens of one text. taken: how many so far, a measure of the work done."""

    def __init__(self, text: str) -> None:
        """Raises RuleTextError when the text is too long or no text."""
        self.text = text
        self.taken = 0
        self._at = 0
        self._next: Token | None = None
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise self.error(error.start, "the text holds half of a character") from error
        if size > MAX_TEXT_BYTES:
            raise self.error(0, f"the text has {size} bytes, expected at most {MAX_TEXT_BYTES}")

    def error(self, offset: int, sentence: str) -> RuleTextError:
        """The error for a place in the text."""
        line = self.text.count("\n", 0, offset) + 1
        column = offset - (self.text.rfind("\n", 0, offset) + 1) + 1
        return RuleTextError(line, column, sentence)

    @property
    def offset(self) -> int:
        """How much of the text is taken."""
        return self._at

    def peek(self) -> Token:
        """The next token. Raises RuleTextError when no token begins there."""
        if self._next is None:
            self._next = self._read()
        return self._next

    def take(self) -> Token:
        """The next token, which is then done with."""
        token = self.peek()
        self._next = None
        self._at = token.offset + len(token.text)
        self.taken += 1
        return token

    def take_pattern(self, pattern: re.Pattern[str]) -> tuple[str, int] | None:
        """What `pattern` matches next, and where; None, with nothing taken, where it does not."""
        self._skip()
        match = pattern.match(self.text, self._at)
        if match is None:
            return None
        self._next = None
        self._at = match.end()
        self.taken += 1
        return match[0], match.start()

    def _skip(self) -> int:
        blank = _BLANK.match(self.text, self._at)
        self._at = blank.end() if blank else self._at
        return self._at

    def _read(self) -> Token:
        at = self._skip()
        if at == len(self.text):
            return Token("end", "", at)
        if match := _TIME.match(self.text, at):
            return self._time(match[0], at)
        if match := _NUMBER.match(self.text, at):
            return self._number(match[0], at)
        for kind, pattern in (("name", _NAME), ("mark", _MARK)):
            if match := pattern.match(self.text, at):
                if kind == "name" and _FOREIGN.match(self.text, match.end()):
                    raise self._foreign(match.end())
                return Token(kind, match[0], at)  # type: ignore[arg-type]
        raise self._foreign(at)

    def _foreign(self, at: int) -> RuleTextError:
        """The error for a character that stands in no token; some look like those that do."""
        character = self.text[at]
        shown = f"U+{ord(character):04X}"
        if character.isprintable():
            shown = f"'{character}'" if character.isascii() else f"'{character}' ({shown})"
        hint = f"; write {_HINTS[character]}" if character in _HINTS else ""
        return self.error(at, f"unexpected character {shown}{hint}")

    def _time(self, text: str, at: int) -> Token:
        hours, minutes = map(int, text.split(":"))
        total = hours * 60 + minutes
        if minutes > 59 or total > 24 * 60:
            raise self.error(at, f"{text} is no time of day, expected 00:00 to 24:00")
        return Token("time", text, at, value=total)

    def _number(self, digits: str, at: int) -> Token:
        if len(digits) > MAX_NUMBER_CHARS:
            raise self.error(at, f"a number has at most {MAX_NUMBER_CHARS} characters")
        end = at + len(digits)
        if unit := _NAME.match(self.text, end):
            return self._length(digits, unit[0], at)
        if self.text.startswith(".", end):
            raise self.error(at, f"'{digits}.' is no number")
        mantissa, _, exponent = digits.lower().partition("e")
        if percent := _PERCENT.match(self.text, end):
            hundredth = f"{mantissa}e{int(exponent or 0) - 2}"
            return Token("percent", digits + percent[0], at, self._double(hundredth, digits, at))
        return Token("number", digits, at, self._double(digits, digits, at))

    def _double(self, exact: str, digits: str, at: int) -> float:
        value = float(exact)
        if math.isinf(value):
            raise self.error(at, f"{digits} is beyond the range of a number")
        if value == 0.0 and re.search("[1-9]", digits.lower().partition("e")[0]):
            raise self.error(at, f"{digits} is nearer to 0 than a number can be")
        return value

    def _length(self, digits: str, unit: str, at: int) -> Token:
        if unit.startswith("_"):
            raise self.error(at, f"{cut(digits + unit)} is no number; leave the _ out")
        if unit not in _UNITS:
            sentence = f"{cut(digits + unit)} is no length, expected a unit of ms, s, m or h"
            raise self.error(at, sentence)
        if not digits.isdecimal():
            sentence = f"{cut(digits + unit)} is no length, expected a whole number of {unit}"
            raise self.error(at, sentence)
        factor, base = _UNITS[unit]
        count = int(digits) * factor
        return Token("length", digits + unit, at, window=Window(count, base))
