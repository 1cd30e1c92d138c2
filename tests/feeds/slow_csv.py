"""A plain parser of recordings, written apart from the kernel: what it must agree with."""

import csv
import math
import re

from engine.feeds.conditions import Conditions

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
SIZE_BLANK = 0xFFFF_FFFF
VENUES = {"NASDAQ": "Q", "NYSE": "N", "ARCA": "P", "BATS": "Z", "IEX": "V"}
CONDITIONS = Conditions.load()


class BadRowError(Exception):
    pass


def number(text):
    if len(text) > 64 or not NUMBER.fullmatch(text):
        raise BadRowError("number")
    value = float(text)
    if not math.isfinite(value):
        raise BadRowError("number")
    return value


def instant(text):
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) >= 1 << 63:
        raise BadRowError("time")
    return int(text)


def ticker(text):
    if not 1 <= len(text) <= 24 or any(not 33 <= ord(c) <= 126 or c in '",' for c in text):
        raise BadRowError("symbol")
    return text


def venue(text):
    if len(text) > 128:
        raise BadRowError("venue")
    return ord(text) if len(text) == 1 else ord(VENUES.get(text.upper(), "\0"))


def quote_side(price, size):
    p, s = math.nan, SIZE_BLANK
    if price != "":
        p = number(price)
        if p < 0:
            raise BadRowError("price")
    if size != "":
        s = number(size)
        if s < 0 or s != int(s) or s >= SIZE_BLANK:
            raise BadRowError("size")
    return p, int(s)


def parse(row, names):
    if len(row) != len(names):
        raise BadRowError("columns")
    cell = dict(zip(names, row, strict=True))
    event = instant(cell["ts_ns"])
    recv = instant(cell["recv_ns"]) if "recv_ns" in cell else event
    if "price" in cell:
        price, size = number(cell["price"]), number(cell["size"])
        if price <= 0 or size < 0:
            raise BadRowError("value")
        values = (1, price, size, 0, 0)
        if len(cell.get("conditions", "")) > 128:
            raise BadRowError("conditions")
        cond = CONDITIONS.of_text(cell.get("conditions", ""))[0]
    else:
        bid, bid_size = quote_side(cell["bid"], cell["bid_size"])
        ask, ask_size = quote_side(cell["ask"], cell["ask_size"])
        values, cond = (2, bid, ask, bid_size, ask_size), 0
    return ticker(cell["symbol"]), recv, event, venue(cell.get("exchange", "")), cond, values


def read(content: bytes):
    """([rows], [bad line numbers]) of a whole file; rows as `parse` gives them, recv_ns clamped."""
    lines = content.split(b"\n")
    names = lines[0].decode("utf-8-sig").rstrip("\r").split(",")
    rows, bad, latest = [], [], 0
    for at, raw in enumerate(lines[1:], start=2):
        line = raw.decode("latin-1")
        try:
            cells = next(csv.reader([line.removesuffix("\r")], strict=True), [])
            if cells in ([], [""]):
                continue
            symbol, recv, *rest = parse(cells, names)
        except (BadRowError, csv.Error):
            bad.append(at)
            continue
        latest = max(latest, recv)
        rows.append((symbol, latest, *rest))
    return rows, bad
