"""The tape file: what is written is read back, torn ends are cut, damage in the middle is not
skipped."""

from pathlib import Path

import numpy as np
import pytest

from engine.domain import records
from engine.replay import tape
from engine.replay.formats import GENESIS_MAGIC, TAPE_MAGIC
from engine.replay.open_stream import TAPE_NAME, tape_file
from engine.replay.tape import TapeError, TapeHeader, TapeReader, TapeWriter, create_tape

HEADER = TapeHeader(
    stream_id="s1",
    genesis_sha256="00",
    interval_ns=10**8,
    feeds=2,
    fingerprint="f",
    simulated=False,
)


def decisions(first: int, count: int, per_cycle: int = 3) -> np.ndarray:
    found = np.zeros(count, records.DECISION)
    found["n"] = np.arange(first, first + count)
    found["t_ns"] = found["n"] * HEADER.interval_ns
    found["tick_end"][:, 0] = found["n"] * per_cycle
    found["tick_end"][:, 1] = found["n"]
    return found


def ticks(seed: int, count: int) -> np.ndarray:
    raw = np.random.default_rng(seed).integers(0, 256, count * records.TICK.itemsize, np.uint8)
    return raw.view(records.TICK)


def begin(path: Path) -> TapeWriter:
    create_tape(path, HEADER)
    return TapeWriter(path, HEADER.stream_id)


def write(path: Path, blocks: int) -> list[np.ndarray]:
    writer = begin(path)
    parts = []
    for block in range(blocks):
        first = ticks(block, 6)
        parts.append(first)
        writer.cycles(decisions(block * 2 + 1, 2), [[first[:4], first[4:]], [ticks(99, 2)]])
    writer.close()
    return parts


def test_what_is_written_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "tape.bin"
    parts = write(path, 3)
    with TapeReader(path) as reader:
        blocks = list(reader.blocks())
        assert reader.header == HEADER
    assert [block.last_n for block in blocks] == [2, 4, 6]
    for block, part in zip(blocks, parts, strict=True):
        assert block.ticks[0].tobytes() == part.tobytes()
        assert block.ticks[1].tobytes() == ticks(99, 2).tobytes()
        assert block.decisions["n"].tolist() == [block.last_n - 1, block.last_n]


def test_a_large_block_is_compressed_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "tape.bin"
    writer = begin(path)
    same = np.zeros(5000, records.TICK)
    writer.cycles(decisions(1, 1), [[same], []])
    writer.close()
    assert path.stat().st_size < same.nbytes / 10
    with TapeReader(path) as reader:
        (block,) = reader.blocks()
    assert block.ticks[0].tobytes() == same.tobytes()


def test_a_tape_torn_at_any_byte_goes_on_after_its_last_whole_block(tmp_path: Path) -> None:
    path = tmp_path / "tape.bin"
    write(path, 3)
    whole = path.read_bytes()
    with TapeReader(path) as reader:
        start = reader._file.tell()
    for cut in range(start, len(whole), 37):
        path.write_bytes(whole[:cut])
        writer = TapeWriter(path, HEADER.stream_id)
        assert writer.last_n in (0, 2, 4, 6)
        assert writer.tick_positions[0] == writer.last_n * 3
        n = writer.last_n
        writer.cycles(decisions(n + 1, 1), [[ticks(7, 3)], [ticks(8, 1)]])
        writer.close()
        with TapeReader(path) as reader:
            assert [b.last_n for b in reader.blocks()][-1] == n + 1


def test_a_tape_damaged_before_its_end_is_neither_read_short_nor_cut(tmp_path: Path) -> None:
    path = tmp_path / "tape.bin"
    write(path, 3)
    whole = path.read_bytes()
    with TapeReader(path) as reader:
        start = reader._file.tell()
    size = (len(whole) - start) // 3
    for at in (start, start + tape.BLOCK_HEAD.itemsize + 9, start + size, start + 2 * size - 1):
        broken = bytearray(whole)
        broken[at] ^= 1
        path.write_bytes(broken)
        with TapeReader(path) as reader, pytest.raises(TapeError, match="is damaged at byte"):
            list(reader.blocks())
    for at in (start, start + size):  # the writer reads heads, and the newest block whole
        path.write_bytes(whole[:at] + b"?" + whole[at + 1 :])
        with pytest.raises(TapeError, match="is damaged at byte"):
            TapeWriter(path, HEADER.stream_id)
        assert path.stat().st_size == len(whole)


def test_an_ended_tape_says_so_when_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "tape.bin"
    write(path, 1)
    writer = TapeWriter(path, HEADER.stream_id)
    assert not writer.ended
    writer.end()
    writer.close()
    assert TapeWriter(path, HEADER.stream_id).ended
    assert tape.info(path)["state"] == "ended"


def test_rules_are_on_the_tape_once_per_version(tmp_path: Path) -> None:
    path = tmp_path / "tape.bin"
    writer = begin(path)
    for _ in range(2):
        writer.rules(4, b"content")
    writer.close()
    writer = TapeWriter(path, HEADER.stream_id)
    writer.rules(4, b"content")
    writer.close()
    with TapeReader(path) as reader:
        (block,) = reader.blocks()
    assert (block.kind, block.first_n, block.content) == (tape.RULES, 4, b"content")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not a tape: it does not start with the tape's magic bytes."),
        (b"TAPESCAN-TAPE-x\nxxxx", "is not a tape: it does not start with the tape's magic bytes."),
        (GENESIS_MAGIC + b"xx", "is not a tape: it does not start with the tape's magic bytes."),
        (
            b"TAPESCAN-TAPE-1\n" + bytes(99),
            r"is a tape in format 1, but this version of Tapescan reads and writes format 2 only\.",
        ),
        (b"TAPESCAN-TAPE-13\n", "is a tape in format 13, but this version of"),
        (TAPE_MAGIC + (5).to_bytes(4, "little") + b"{}}}}", "has a damaged header"),
    ],
)
def test_a_file_that_is_no_tape_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "tape.bin"
    path.write_bytes(content)
    with pytest.raises(TapeError, match=sentence):
        TapeReader(path)


def test_a_tape_of_another_stream_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tape.bin"
    write(path, 1)
    with pytest.raises(TapeError, match="belongs to stream s1, not to s2"):
        TapeWriter(path, "s2")


def test_a_tape_that_is_not_there_is_not_begun_anew_by_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "tape.bin"
    with pytest.raises(TapeError, match=r"cannot be opened: No such file or directory\."):
        TapeWriter(path, "s1")
    assert not path.exists()


def test_a_tape_is_created_whole_or_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "tape.bin"
    with pytest.raises(TapeError, match=r"cannot be created: No such file or directory\."):
        create_tape(path, HEADER)
    write(tmp_path / "tape.bin", 2)
    writer = begin(tmp_path / "tape.bin")
    assert writer.last_n == 0, "what was there before is gone"
    assert [path.name for path in tmp_path.iterdir()] == ["tape.bin"]


def test_a_full_disk_is_one_sentence_and_closes_the_tape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = begin(tmp_path / "tape.bin")

    def no_space(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fdatasync", no_space)
    with pytest.raises(TapeError, match="cannot be written: No space left on device"):
        writer.cycles(decisions(1, 1), [[], []])


def test_a_tape_is_named_by_its_file_or_by_the_directory_of_its_stream(tmp_path: Path) -> None:
    write(tmp_path / TAPE_NAME, 1)
    assert tape_file(tmp_path) == tape_file(tmp_path / TAPE_NAME) == tmp_path / TAPE_NAME
