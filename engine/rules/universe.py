"""Reads the universe of a rule: for which symbols, and when, it is looked at."""

import re
from typing import cast

from engine.metrics.registry import UnknownMetric, resolve
from engine.rules.limits import Limits
from engine.rules.model import EVERYWHERE, SESSIONS, Universe
from engine.rules.reading import Reader
from engine.rules.tree import SessionName
from engine.rules.values import is_number

MAX_SYMBOLS = 10_000
MAX_NAMES = 64

_KEYS = (
    "symbols", "exclude_symbols", "lists", "exclude_lists", "exchanges", "sectors", "price_min",
    "price_max", "adv_min", "adv_max", "where", "sessions",
)  # fmt: skip
_TICKER = re.compile(r"[!#-+\--~]{1,24}")  # printable ASCII but quotation mark and comma
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WORDS = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,&/'()_-]{0,63}")
_SESSION = re.compile("|".join(SESSIONS))


class UniverseReader(Reader):
    """Reads one `universe` object; faults go to `problems`."""

    def read(self, limits: Limits) -> Universe:
        """The universe; what is at fault in it is left out."""
        self.refuse_unknown_keys(_KEYS)
        tickers, lists = "a ticker of 1 to 24 characters", "the name of a list"
        sessions = self.names("sessions", _SESSION, f"one of {' '.join(SESSIONS)}", 3, SESSIONS)
        if not sessions:
            self.complain("universe.sessions is empty, expected at least one session")
        universe = Universe(
            symbols=self.names("symbols", _TICKER, tickers, MAX_SYMBOLS),
            exclude_symbols=self.names("exclude_symbols", _TICKER, tickers, MAX_SYMBOLS),
            lists=self.names("lists", _NAME, lists, MAX_NAMES),
            exclude_lists=self.names("exclude_lists", _NAME, lists, MAX_NAMES),
            exchanges=self.names("exchanges", _NAME, "the name of an exchange", MAX_NAMES),
            sectors=self.names("sectors", _WORDS, "the name of a sector", MAX_NAMES),
            price_min=self.bound("price_min", "last"),
            price_max=self.bound("price_max", "last"),
            adv_min=self.bound("adv_min", "adv_20"),
            adv_max=self.bound("adv_max", "adv_20"),
            where=str(self.document.get("where", "")),
            tree=self.where("where", limits) if "where" in self.document else None,
            sessions=cast("tuple[SessionName, ...]", sessions or SESSIONS),
        )
        self.refuse_empty_range("price", universe.price_min, universe.price_max)
        self.refuse_empty_range("adv", universe.adv_min, universe.adv_max)
        return EVERYWHERE if universe == EVERYWHERE else universe

    def bound(self, key: str, metric: str) -> float | None:
        """A bound of a metric; None where it is absent or null."""
        value = self.document.get(key)
        if value is None:
            return None
        if not is_number(value) or value < 0:
            self.refuse(key, value, "a number from 0")
            return None
        try:
            resolve(metric)
        except UnknownMetric as error:
            self.complain(f"universe.{key}: {error}")
            return None
        return float(value) + 0.0

    def refuse_empty_range(self, key: str, least: float | None, most: float | None) -> None:
        """Note bounds that nothing lies between."""
        if least is not None and most is not None and least > most:
            self.complain(f"universe.{key}_min is above universe.{key}_max")
