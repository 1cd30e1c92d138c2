"""What a trade may change: from its sale conditions to the COND_* bits of a tick, by (tape, code).

`conditions.csv` is the table. Its forms: `code` the sale conditions of the SIPs (one character;
the CTA's regular sale is one blank), `id` the numbers Massive gives them, `word` the flag words of
recordings, `mark` correction marks of TAQ files. `last` is yes, no or first (only if nothing set
it before in the session). `close` marks closing prints and official closes: the largest of a day
is its official close, also when it is stamped after the bell.

Sources: the consolidated rules of the CTS and UTP output specifications (SIP; as the dxFeed
knowledge base transcribes them), Massive's conditions list where the SIPs have no code of their
own, Lean's trade condition flags, the LOBSTER and TAQ formats. What the table cannot say exactly:
a CTA sold last (L) sets last if it comes from the market centre that set it, here only if it is
the first; a UTP one until 16:00:10, here always.
"""

import csv
import dataclasses
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

from engine.domain.records import (
    COND_CLOSE,
    COND_EXTENDED,
    COND_HILO,
    COND_LAST,
    COND_LAST_IF_FIRST,
    COND_VOLUME,
)
from engine.errors import EngineError

TABLE_PATH = Path(__file__).with_name("conditions.csv")
_COLUMNS = [
    "form", "tape", "key", "name", "last", "high_low", "volume", "extended", "close", "source",
]  # fmt: skip
_FORMS = ("code", "id", "word", "mark")
_LAST_LEVEL = {"no": 0, "first": 1, "yes": 2}
_YES = {"no": False, "yes": True}
_TAPES = {"CTA": ("A", "B"), "UTP": ("C",), "both": ("A", "B", "C")}
_SIP_LENGTH = 4


class ConditionsError(EngineError):
    """Raised when the conditions table is not what its columns say."""


@dataclasses.dataclass(frozen=True)
class Effect:
    """What one condition lets a trade do; last: 0 never, 1 if it is the first, 2 always."""

    last: int
    high_low: bool
    volume: bool
    extended: bool
    close: bool = False

    def strictest(self, other: "Effect") -> "Effect":
        """What a trade with both conditions may do. An extended-hours mark is not weakened by the
        other,
        but the other must let the price count for the mark to matter (see `bits`)."""
        return Effect(
            min(self.last, other.last),
            self.high_low and other.high_low,
            self.volume and other.volume,
            self.extended and other.extended,
            self.close or other.close,
        )


REGULAR = Effect(2, True, True, False)
UNKNOWN = Effect(0, False, True, False)


def _combine(effects: Iterable[Effect]) -> int:
    """COND_* bits of all conditions of one trade together: the strictest wins.

    An extended-hours mark (Form T) keeps the price out of last and high/low of the regular
    session; outside of it the price counts when every other condition lets a price count without
    reserve.
    """
    others, marked, volume_of_mark, closing = REGULAR, False, True, 0
    for effect in effects:
        closing |= COND_CLOSE if effect.close else 0
        if effect.extended:
            marked, volume_of_mark = True, volume_of_mark and effect.volume
        else:
            others = others.strictest(effect)
    bits = closing | (COND_VOLUME if others.volume and volume_of_mark else 0)
    priced = others.last == 2 and others.high_low
    if marked:
        return bits | (COND_EXTENDED if priced else 0)
    bits |= COND_HILO if others.high_low else 0
    return bits | (0, COND_LAST_IF_FIRST, COND_LAST)[others.last]


class Conditions:
    """The conditions table; answers are (bits, known): unknown conditions count to volume only."""

    def __init__(self, text: str) -> None:
        """text: the CSV. Raises ConditionsError naming the line that is wrong."""
        self._effects: dict[tuple[str, str, str], Effect] = {}
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        if next(rows, None) != _COLUMNS:
            raise ConditionsError(f"conditions.csv: the columns must be {','.join(_COLUMNS)}.")
        for row in rows:
            try:
                form, tape, key, _, last, high_low, volume, extended, close, _ = row
                effect = Effect(
                    _LAST_LEVEL[last], _YES[high_low], _YES[volume], _YES[extended], _YES[close]
                )
                tapes = _TAPES[tape]
                _FORMS.index(form)
            except (ValueError, KeyError) as error:
                raise ConditionsError(
                    f"conditions.csv line {rows.line_num}: {error} is not understood."
                ) from error
            self._add(form, tapes, key, effect)

    @classmethod
    def load(cls, path: Path = TABLE_PATH) -> "Conditions":
        """The table of a file, by default the one that comes with the engine."""
        return cls(path.read_text(encoding="utf-8"))

    def _add(self, form: str, tapes: tuple[str, ...], key: str, effect: Effect) -> None:
        for tape in tapes:
            before = self._effects.get((form, tape, key), effect)
            self._effects[form, tape, key] = before.strictest(effect)
        # On an unknown tape a code means the strictest of what it means anywhere.
        before = self._effects.get((form, "", key), effect)
        self._effects[form, "", key] = before.strictest(effect)

    def of_codes(self, codes: Iterable[str], tape: str = "") -> tuple[int, bool]:
        """Bits of SIP sale conditions, one character each (`[" ", "T", "I"]`), on tape A, B, C or
        unknown.

        A blank is no condition where it is not the CTA's regular sale.
        """
        return self._answer([("code", tape, code) for code in codes if code != " "])

    def of_ids(self, ids: Iterable[int], tape: str = "") -> tuple[int, bool]:
        """Bits of Massive's condition numbers (`[12, 37]`); none: a regular sale."""
        return self._answer([("id", tape, str(number)) for number in ids])

    def of_text(self, text: str, tape: str = "") -> tuple[int, bool]:
        """Bits of the `conditions` column of a recording: words or SIP characters, joined by "|".

        "IntermarketSweep|ExtendedHours", "FTI", "4 B", "N  I|CORR=12"; empty: a regular sale.
        """
        keys: list[tuple[str, str, str]] = []
        for part in text.split("|"):
            if ("word", tape, part) in self._effects:
                keys.append(("word", tape, part))
            elif part.startswith("CORR="):
                keys.append(("mark", tape, part))
            elif len(part) <= _SIP_LENGTH:
                keys += [("code", tape, code) for code in part if code != " "]
            else:
                keys.append(("word", tape, part))
        return self._answer(keys)

    def _answer(self, keys: list[tuple[str, str, str]]) -> tuple[int, bool]:
        effects = [self._effects.get(key) for key in keys]
        known = None not in effects
        return _combine(effect or UNKNOWN for effect in effects), known
