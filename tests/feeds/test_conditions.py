"""Sale conditions to bits: every combination of the recording, SIP strings, ids, and bad tables."""

import hashlib
import itertools

import pytest

from engine.domain.records import (
    COND_CLOSE,
    COND_EXTENDED,
    COND_HILO,
    COND_LAST,
    COND_LAST_IF_FIRST,
    COND_VOLUME,
)
from engine.feeds.conditions import TABLE_PATH, Conditions, ConditionsError

LETTERS = {"L": COND_LAST, "H": COND_HILO, "V": COND_VOLUME, "X": COND_EXTENDED}
LETTERS["F"] = COND_LAST_IF_FIRST
LETTERS["C"] = COND_CLOSE


def bits(letters):
    return sum(LETTERS[letter] for letter in letters)


# L sets last, H high and low, V volume, X counts outside regular hours, F last if first,
# C may be the official close.
RECORDING = {
    "Regular": "LHV",
    "IntermarketSweep|TradeThroughExempt": "LHV",
    "IntermarketSweep": "LHV",
    "IntermarketSweep|ExtendedHours|TradeThroughExempt": "VX",
    "ExtendedHours": "VX",
    "Regular|TradeThroughExempt": "LHV",
    "OpeningPrints|TradeThroughExempt": "LHV",
    "DerivativelyPriced|AveragePrice|TradeThroughExempt": "V",
    "AveragePrice|TradeThroughExempt": "V",
    "ExtendedHours|TradeThroughExempt": "VX",
    "ClosingPrints|TradeThroughExempt": "LHVC",
    "Sold|OutOfSequence": "HVF",
    "ExtendedHours|AveragePrice": "V",
    "DerivativelyPriced|TradeThroughExempt": "HVF",
    "DerivativelyPriced|StockOption|TradeThroughExempt": "HVF",
    "OfficialOpen": "",
    "Cash|TradeThroughExempt": "V",
    "OfficialClose": "C",
    "ExtendedHours|AveragePrice|TradeThroughExempt": "V",
    "NextDay|TradeThroughExempt": "V",
    "OpeningPrints": "LHV",
    "ClosingPrints": "LHVC",
    "OpeningPrints|Cross|TradeThroughExempt": "LHV",
    "AveragePrice": "V",
    "Seller|ExtendedHours|TradeThroughExempt": "V",
    "PriorReferencePrice": "HVF",
    "ClosingPrints|Cross|TradeThroughExempt": "LHVC",
    "ExtendedHours|StockOption": "VX",
    "ExtendedHours|OutOfSequence|AveragePrice": "V",
    "Seller|TradeThroughExempt": "V",
    "NextDay|ExtendedHours|OutOfSequence": "V",
    "StockOption": "LHV",
    "Sold|OutOfSequence|AveragePrice|TradeThroughExempt": "V",
    "Regular|OfficialClose": "C",
}

SIP_STRINGS = {
    "": "LHV", "I": "V", "F": "LHV", "F I": "V", "4 B": "V", "TI": "V", "4 I": "V", "T": "VX",
    "UI": "V", "FTI": "V", "FT": "VX", "N": "V", "7 V": "V", "N  I": "V", "R": "V", "ZI": "V",
    "4": "HVF", "R  I": "V", "M": "C", "Z": "HVF", "C  I": "V", "TB": "V", "Q": "", "N T": "V",
    "N TB": "V", "U": "V", "O": "LHV", "6": "LHVC", "TP": "V", "9": "LH", "@": "LHV",
    "ExecVisible|BuyerInitiated": "LHV", "F|CORR=8": "", "F I|CORR=12": "V", "T|CORR=12": "VX",
}  # fmt: skip


@pytest.mark.parametrize(("text", "letters"), [*RECORDING.items(), *SIP_STRINGS.items()])
def test_every_combination_of_the_recordings_has_its_bits(conditions, text, letters):
    assert conditions.of_text(text) == (bits(letters), True)


def test_the_order_of_conditions_does_not_matter(conditions):
    for text in RECORDING:
        for order in itertools.permutations(text.split("|")):
            assert conditions.of_text("|".join(order)) == conditions.of_text(text)


@pytest.mark.parametrize("text", ["Nonsense", "x", "F|x", "CORR=3", "fti", "Regular|Nonsense"])
def test_an_unknown_condition_counts_to_volume_only_and_is_told(conditions, text):
    assert conditions.of_text(text) == (COND_VOLUME, False)


def test_an_unknown_condition_does_not_give_volume_to_an_official_close(conditions):
    assert conditions.of_text("OfficialClose|Nonsense") == (COND_CLOSE, False)


def test_the_same_letter_means_what_its_tape_says(conditions):
    assert conditions.of_codes(["B"], "A") == (bits("V"), True)
    assert conditions.of_codes(["B"], "C") == (bits("LHV"), True)
    assert conditions.of_codes(["B"]) == (bits("V"), True)
    assert conditions.of_codes([" ", "T", "I"], "B") == (bits("V"), True)
    assert conditions.of_codes(["@", "T"], "C") == (bits("VX"), True)
    assert conditions.of_codes(["@"], "A") == (bits("V"), False)


def test_condition_numbers_are_understood(conditions):
    assert conditions.of_ids([]) == (bits("LHV"), True)
    assert conditions.of_ids([12, 41]) == (bits("VX"), True)
    assert conditions.of_ids([14, 37]) == (bits("V"), True)
    assert conditions.of_ids([32], "A") == (bits("HVF"), True)
    assert conditions.of_ids([999]) == (bits("V"), False)


def test_the_fingerprint_is_that_of_the_file(conditions):
    text = TABLE_PATH.read_bytes()
    assert conditions.fingerprint == hashlib.sha256(text).hexdigest()
    other = text.decode().replace("Lean", "LEAN", 1)
    assert Conditions(other).fingerprint != conditions.fingerprint


def test_a_wrong_table_is_refused_with_its_line():
    text = TABLE_PATH.read_text()
    with pytest.raises(ConditionsError, match="columns"):
        Conditions("a,b\n")
    with pytest.raises(ConditionsError, match="line 3"):
        lines = text.splitlines()
        Conditions("\n".join([*lines[:2], lines[2].replace("yes", "perhaps")]))
    with pytest.raises(ConditionsError, match="line 2"):
        Conditions(text.splitlines()[0] + "\ncode,XYZ,@,name,yes,yes,yes,no,SIP\n")
