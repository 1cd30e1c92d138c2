"""The spool keeps what it accepted, cuts torn tails and survives dropping."""

import random
from pathlib import Path

import pytest

from engine.storage.errors import SpoolError, SpoolFullError
from engine.storage.spool import MAX_FRAME_BYTES, Spool

HEADER_BYTES = 24
FRAME_BYTES = 8


def _payloads(spool: Spool, position: int | None = None) -> list[bytes]:
    start = spool.base if position is None else position
    return [payload for _, payload in spool.read(start)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the spool lies."""
    return tmp_path / "alerts.spool"


def test_a_new_spool_is_empty_and_opens_again(path: Path) -> None:
    for _ in range(2):
        spool = Spool(path)
        assert (spool.base, spool.end, spool.cut_bytes) == (0, 0, 0)
        assert _payloads(spool) == []
        spool.close()


def test_frames_come_back_in_order_with_their_positions(path: Path) -> None:
    spool = Spool(path)
    middle = spool.append([b"one", b"", b"three"])
    end = spool.append([b"four" * 1000])
    assert _payloads(spool) == [b"one", b"", b"three", b"four" * 1000]
    assert list(spool.read(middle)) == [(end, b"four" * 1000)]
    assert list(spool.read(end)) == []
    assert spool.append([]) == end
    spool.close()
    spool = Spool(path)
    assert (spool.end, spool.cut_bytes) == (end, 0)
    assert _payloads(spool, middle) == [b"four" * 1000]


def test_a_tail_torn_at_any_byte_is_cut_after_the_last_whole_frame(path: Path) -> None:
    spool = Spool(path)
    first = spool.append([b"first"])
    spool.append([b"second frame"])
    spool.close()
    whole = path.read_bytes()
    for size in range(HEADER_BYTES, len(whole) + 1):
        path.write_bytes(whole[:size])
        spool = Spool(path)
        kept = [b"first", b"second frame"]
        ends = [HEADER_BYTES + first, len(whole)]
        expected = [payload for payload, end in zip(kept, ends, strict=True) if end <= size]
        assert _payloads(spool) == expected
        assert spool.cut_bytes == size - max([HEADER_BYTES, *(e for e in ends if e <= size)])
        third = spool.append([b"third"])
        assert _payloads(spool) == [*expected, b"third"]
        assert third == spool.end
        spool.close()


def test_a_flipped_bit_in_the_last_frame_cuts_it(path: Path) -> None:
    spool = Spool(path)
    start = HEADER_BYTES + spool.append([b"first"])
    spool.append([b"second"])
    spool.close()
    whole = path.read_bytes()
    for offset in range(start, len(whole)):
        for bit in (0, 7):
            damaged = bytearray(whole)
            damaged[offset] ^= 1 << bit
            path.write_bytes(damaged)
            spool = Spool(path)
            assert _payloads(spool) == [b"first"]
            spool.close()


@pytest.mark.parametrize("tail", [b"\x00" * 4096, b"\xff" * 100, b"\x05\x00\x00\x00"])
def test_zeros_and_rubbish_after_the_last_frame_are_cut(path: Path, tail: bytes) -> None:
    spool = Spool(path)
    spool.append([b"first"])
    spool.close()
    path.write_bytes(path.read_bytes() + tail)
    spool = Spool(path)
    assert spool.cut_bytes == len(tail)
    assert _payloads(spool) == [b"first"]


def test_a_whole_frame_of_another_position_is_not_taken_for_one(path: Path) -> None:
    spool = Spool(path)
    spool.append([b"same size", b"same size"])
    spool.close()
    whole = path.read_bytes()
    frame = len(b"same size") + FRAME_BYTES
    path.write_bytes(whole[: HEADER_BYTES + frame] + whole[HEADER_BYTES : HEADER_BYTES + frame])
    spool = Spool(path)
    assert _payloads(spool) == [b"same size"]


def test_dropping_keeps_positions_and_what_follows(path: Path) -> None:
    spool = Spool(path)
    middle = spool.append([b"stored"])
    end = spool.append([b"kept"])
    spool.drop(middle)
    assert (spool.base, spool.end) == (middle, end)
    assert list(spool.read(middle)) == [(end, b"kept")]
    with pytest.raises(SpoolError, match=r"position 0 lies outside"):
        next(spool.read(0))
    spool.drop(end)
    assert path.stat().st_size == HEADER_BYTES
    later = spool.append([b"later"])
    assert later > end
    spool.close()
    spool = Spool(path)
    assert list(spool.read(end)) == [(later, b"later")]


def test_dropping_or_reading_in_the_middle_of_a_frame_is_refused(path: Path) -> None:
    spool = Spool(path)
    spool.append([b"whole frame"])
    with pytest.raises(SpoolError, match=r"no whole frame at position 3"):
        spool.drop(3)
    assert _payloads(spool) == [b"whole frame"]


def test_a_full_spool_refuses_and_goes_on_after_dropping(path: Path) -> None:
    spool = Spool(path, max_bytes=100)
    spool.append([b"x" * 40])
    with pytest.raises(SpoolFullError) as caught:
        spool.append([b"y" * 40])
    assert (caught.value.limit_bytes, caught.value.used_bytes) == (100, 72)
    assert _payloads(spool) == [b"x" * 40]
    spool.drop(spool.end)
    spool.append([b"y" * 40])
    assert _payloads(spool) == [b"y" * 40]


def test_a_frame_beyond_the_bound_is_refused(path: Path) -> None:
    spool = Spool(path)
    with pytest.raises(SpoolError, match="passes the bound"):
        spool.append([b"\0" * (MAX_FRAME_BYTES + 1)])
    assert spool.end == 0


@pytest.mark.parametrize("content", [b"", b"TSPOOL01", b"something else entirely, but long enough"])
def test_a_file_that_is_no_spool_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(SpoolError, match=r"alerts.spool: it does not begin like a spool"):
        Spool(path)
    assert path.read_bytes() == content


def test_a_closed_spool_refuses(path: Path) -> None:
    spool = Spool(path)
    spool.close()
    with pytest.raises(SpoolError, match="closed"):
        spool.append([b"late"])


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_append_drop_and_reopen_keeps_the_frames(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    spool = Spool(path)
    kept: list[tuple[int, bytes]] = []
    for _ in range(60):
        action = rng.random()
        if action < 0.7:
            batch = [rng.randbytes(rng.randrange(50)) for _ in range(rng.randrange(4))]
            before = spool.end
            spool.append(batch)
            for payload in batch:
                before += FRAME_BYTES + len(payload)
                kept.append((before, payload))
        elif action < 0.85 and kept:
            position, _ = rng.choice(kept)
            spool.drop(position)
            kept = [entry for entry in kept if entry[0] > position]
        else:
            spool.close()
            spool = Spool(path)
        assert list(spool.read(spool.base)) == kept
