"""Five hundred rules that want to break the reader, always the same ones.

`python -m tests.rules.hostile` prints what each is refused with, for hostile_messages.json.
"""

import json
import random
from collections.abc import Iterator
from typing import Any

from engine.rules.errors import RuleError
from engine.rules.validate import read_rules

COUNT = 500
_A = "last > 1"
_LEAF: dict[str, Any] = {
    "node": "compare", "op": ">", "left": {"node": "metric", "name": "last"},
    "right": {"node": "number", "value": 1},
}  # fmt: skip
_SOUP = [
    "last", "bid", "halted", "and", "or", "not", "between", "cancel", "within", "(", ")", ",", "+",
    "-", "*", "/", ">", "<=", "==", "!=", "1", "2.5", "1e9", "5m", "3 bars", "09:45", "102%",
    "crosses_above", "sequence", "rank", "ago", "if", "zq_9", "%", ":", "#", "\n", "'", "\\", "$",
]  # fmt: skip
_VALID = [
    "crosses_above(last, vwap, 0.1%) and not halted",
    "sequence(last > 1, bid > 2 within 5m, ask > 3 within 10m, cancel halted)",
    "in_row(last > bid * 102%, 30s) or at_least(ask > 3, 3, 10m)",
    "if(halted, last, bid) between 1 and abs(ask - last) / 2",
    "rank(last, sector) <= 5 and time_between(09:45, 11:00) and weekday(mon, fri)",
]

Case = tuple[str, Any]


def text(where: Any) -> dict[str, Any]:
    """A rule that says `where`."""
    return {"id": "r1", "name": "A rule", "where": where}


def tree(document: Any) -> dict[str, Any]:
    """A rule with a JSON tree."""
    return {"id": "r1", "name": "A rule", "tree": document}


def _nesting(chance: random.Random) -> Any:
    openings = ["(", "not (", "abs(", "-(", "within(", "in_row(not ", "since(", "if(", "min(1, ",
                "sequence(", "rank(", "log(-", "ago(", "coalesce(last, "]  # fmt: skip
    mixed = chance.sample(openings, chance.randint(1, 3))
    depth = chance.choice([49, 64, 100, 400, 900])
    opened = "".join(chance.choice(mixed) for _ in range(depth))
    return text(opened + _A + ")" * chance.choice([0, depth]))


def _numbers(chance: random.Random) -> Any:
    digits = chance.choice(["1" * chance.randint(41, 4000), f"1e{chance.randint(309, 99999)}",
                            f"1e-{chance.randint(400, 99999)}", "0x" + "f" * chance.randint(1, 9),
                            "1_000", "1.2.3", "1,000", "١٢٣", "1e", "5.", "NaN", "inf", "1e+",
                            "0." + "0" * 60 + "1", "９９"])  # fmt: skip
    return text(chance.choice(["last > {}", "{} < last", "last * {} > 1"]).format(digits))


def _unicode(chance: random.Random) -> Any:
    tricks = ["l\u0430st > 1", "last\u200b > 1", "\u202elast > 1", "last\u00a0> 1", "last ＞ 1",
              "last \u2265 1", "last > 1\ud800", "\0last > 1", "last > 1 \u2227 halted",
              "ｌast > 1", "last\u0301 > 1", "\ufefflast > 1", "last > 1 \x1b[31m",
              "lаst > 1 # ok",
              "last > 1\u2028and halted", "💥", "last > “1”", "\x7f", "last → 1"]  # fmt: skip
    where = " and ".join([_A] * chance.randint(0, 5) + [chance.choice(tricks)])
    return text(where)


def _deep_json(chance: random.Random) -> Any:
    document: Any = _LEAF
    for _ in range(chance.choice([17, 40, 300, 2_000])):
        document = chance.choice([
            {"node": "not", "part": document},
            {"node": "and", "parts": [document, _LEAF]},
            {"node": "within", "part": document, "window": {"count": 5, "unit": "m"}},
            _LEAF | {"left": {"node": "since", "condition": document}},
        ])  # fmt: skip
    return tree(document)


def _wrong_json(chance: random.Random) -> Any:
    junk = chance.choice([None, True, 5, 1.5, "x", [], {}, [[]], {"node": "number"}, {"node": 5},
                          {"node": "compare"}, {"node": "eval", "code": "1"}, float("inf"),
                          10**400, {"node": "metric", "name": "x" * 2_000}])  # fmt: skip
    return tree(chance.choice([
        junk if not isinstance(junk, dict) else {"node": "not", "part": junk},
        _LEAF | {"op": junk},
        _LEAF | {"left": junk},
        _LEAF | {"right": {"node": "number", "value": [junk]}},
        _LEAF | {"zz": junk},
        {"node": "and", "parts": junk if junk != [[]] else 7},
        {"node": "sequence", "steps": [{"condition": junk}, {"condition": _LEAF}]},
        {"node": "ago", "part": _LEAF, "window": junk},
        {"node": "at_least", "part": _LEAF, "count": 1.5, "window": {"count": 5, "unit": "m"}},
    ]))  # fmt: skip


def _wide(chance: random.Random) -> Any:
    count = chance.choice([90, 300, 1_000, 5_000])
    joined = chance.choice([" and ", " or ", " and not "]).join([_A] * count)
    sums = "last" + chance.choice([" + 1", " - bid", " * 2", " / 3"]) * (3 * count) + " > 1"
    many = f"{chance.choice(['min', 'coalesce'])}({', '.join(['last'] * (3 * count))}) > 1"
    parts = [_LEAF] * count
    return chance.choice([text(joined), text(sums), text(many),
                          tree({"node": "or", "parts": parts})])  # fmt: skip


def _sequences(chance: random.Random) -> Any:
    steps = [chance.choice([_A, f"{_A} within 5m"]) for _ in range(chance.randint(9, 60))]
    nested = _A
    for _ in range(chance.randint(17, 60)):
        nested = f"sequence(halted, {nested} within 5m)"
    return text(chance.choice([
        f"sequence({', '.join([_A, *steps])})", nested, "sequence()", f"sequence({_A})",
        f"sequence({_A} within 5m, halted)", f"sequence(cancel {_A}, halted)",
        f"sequence({_A}, halted within 3 bars)", f"sequence({_A}, halted within 25h)",
        f"sequence({_A}, cancel halted, {_A})", f"sequence({_A}, last within 5m)",
    ]))  # fmt: skip


def _names(chance: random.Random) -> Any:
    length = chance.choice([65, 1_000, 7_000, 1 << 20])
    long = chance.choice("abxyz_") * length
    return chance.choice([
        text(f"{long} > 1"), text(f"{long}(5) > 1"), text(f"rsi({long}) > 1"),
        text(f"breadth({long}) > 1"), text(f"rank(last, list:{long}) > 1"),
        text(f"{_A} # {long}\n and zq_9 > 1"), tree(_LEAF | {"left": {"node": "metric",
        "name": long}}), text(_A) | {"name": long * 4}, text(_A) | {"id": long},
        text(_A) | {"owner": long}, text(_A) | {long: 1}, text(_A) | {"tags": [long]},
        {"id": "r1", "name": "n", "metric": long, "operator": ">", "value": 1},
    ])  # fmt: skip


def _windows(chance: random.Random) -> Any:
    length = chance.choice(["0s", "0 bars", "61 bars", "25h", "86401s", "999999999m", "-5m", "5",
                            "5 minutes", "1.5s", "1e3s", "5d", "last", "3 bar s", "٣ bars",
                            "99999999999999999999 bars", "0ms", "200"])  # fmt: skip
    function = chance.choice(["within({}, {})", "in_row({}, {})", "ago({}, {})",
                              "at_least({}, 2, {})", "at_least({}, 99, {})"])  # fmt: skip
    return text(function.format(_A, length))


def _cost(chance: random.Random) -> Any:
    count = chance.randint(8, 30)
    ranks = [f"rank(last * {n}, sector) < {n}" for n in range(1, count)]
    return text(" and ".join(ranks))


def _soup(chance: random.Random) -> Any:
    return text(" ".join(chance.choice(_SOUP) for _ in range(chance.randint(3, 60))))


def _broken(chance: random.Random) -> Any:
    good = chance.choice(_VALID)
    at = chance.randrange(len(good))
    return text(good[:at] + chance.choice(["", "(", ")", "%", "@", " and ", ",", "\t\0", "1"])
                + good[at + chance.randint(0, 4) :])  # fmt: skip


def _breadths(chance: random.Random) -> Any:
    count = chance.randint(1, 40)
    ring = [
        text(f"breadth(r{(n + 1) % count}) > 50") | {"id": f"r{n}"} for n in range(count)
    ]
    lost = [text("breadth(not-there) > 50") | {"id": f"r{n}"} for n in range(count)]
    asleep = [text(_A) | {"id": "a", "enabled": False}, text("breadth(a) > 50") | {"id": "b"}]
    return chance.choice([ring, lost, asleep])


def _documents(chance: random.Random) -> Any:
    return text(_A) | chance.choice([
        {"universe": {"symbols": [f"S{n}" for n in range(10_001)]}},
        {"universe": {"symbols": ["A"] * 5_000}},
        {"universe": {"sectors": [["x"]]}},
        {"universe": {"where": "(" * chance.randint(60, 8_000)}},
        {"universe": {"price_min": 10**400}},
        {"rearm": "rearm " * chance.randint(1, 2_000)},
        {"tags": [[]]}, {"trigger": ["level"]}, {"cooldown_sec": float("nan")},
        {"cooldown_sec": -(10**400)}, {"debounce_ms": 10**400}, {"max_per_min": "many"},
        {"where": [_A]}, {"where": {"$gt": 1}}, {"where": None}, {"tree": _LEAF}, {"version": 0.5},
        {"created_at": "9" * 5_000}, {"severity": {"level": 9}}, {"enabled": "no"},
    ])  # fmt: skip


_KINDS = (
    _nesting, _numbers, _unicode, _deep_json, _wrong_json, _wide, _sequences, _names, _windows,
    _cost, _soup, _broken, _breadths, _documents,
)  # fmt: skip


def refusal(rules: Any) -> tuple[str, ...]:
    """The sentences that refuse `rules`, none if they are read."""
    try:
        read_rules(rules)
    except RuleError as error:
        return error.problems
    return ()


def cases() -> Iterator[Case]:
    """Name and document of each case: those of a few that happen to be fine are left out."""
    chance, found = random.Random(20131008), 0
    while found < COUNT:
        kind = _KINDS[found % len(_KINDS)]
        document = kind(chance)
        if kind in {_soup, _broken} and not refusal(document):
            continue
        yield f"{kind.__name__.strip('_')}-{found}", document
        found += 1


def without_hint(sentence: str) -> str:
    """Which names are near changes with the catalogue."""
    return sentence.partition("; did you mean")[0]


if __name__ == "__main__":
    told = [f"  {json.dumps([name, without_hint(refusal(rule)[0])])}" for name, rule in cases()]
    print("[\n" + ",\n".join(told) + "\n]")
