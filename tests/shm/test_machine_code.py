"""What the kernels compile to: x86 runs cannot show a missing fence, the instructions can."""

import re

import pytest
from numba import types

from shm import cells_nb, fences, names_nb, ring_nb, seqlock_nb
from tests.shm.machine_code import aarch64_assembly, optimised_ir

INT, A1, A2 = types.int64, types.int64[::1], types.int64[:, ::1]
READ_ONLY = types.Array(types.int64, 1, "C", readonly=True)

SIGNATURES = {
    seqlock_nb.read_row_nb: (A1, INT, A2, INT, A1),
    seqlock_nb.write_row_nb: (A1, INT, A2, INT, A1),
    ring_nb.publish_nb: (A1, A2, A2),
    ring_nb.copy_nb: (A1, A2, INT, A2),
    ring_nb.rejoin_nb: (A1, INT, INT),
    ring_nb.move_gate_nb: (A1, INT, INT),
    cells_nb.seal_cell_nb: (A1, INT),
    cells_nb.publish_cell_nb: (A1, INT),
    cells_nb.valid_cell_nb: (A1, INT),
    names_nb.get_name_nb: (A1, A2, INT, A1),
    names_nb.set_name_nb: (A1, A2, INT, A1),
    names_nb.finish_nb: (A1, A2),
    fences._read_word: (A1, INT),
    fences._write_word: (A1, INT, INT),
    fences._acquire: (),
    fences._release: (),
}

# The order of the atomics in each kernel's IR, in one-letter code; loops may repeat the whole.
#   a load acquire, r load relaxed, R store release, s store relaxed, A/W/F fence acq./rel./seq_cst
IR_ORDER = {
    "read_row_nb": r"(aAr)+",
    "write_row_nb": r"rsWrR",
    "_admit_nb": r"rsFW",
    "copy_nb": r"Ar",
    "rejoin_nb": r"(aRFa)+R",
    "move_gate_nb": r"(rc)+",
    "seal_cell_nb": r"R",
    "publish_cell_nb": r"RW",
    "valid_cell_nb": r"Ar",
    "get_name_nb": r"(aAr)+",
    "set_name_nb": r"(rRW)?rRWWsRW",
    "finish_nb": r"rRW",
    "_read_word": r"a",
    "_write_word": r"R",
    "_acquire": r"A",
    "_release": r"W",
}
CODES = (
    (r"= load atomic .* acquire", "a"),
    (r"= load atomic .* monotonic", "r"),
    (r"store atomic .* release", "R"),
    (r"store atomic .* monotonic", "s"),
    (r"fence acquire", "A"),
    (r"fence release", "W"),
    (r"fence seq_cst", "F"),
    (r"= cmpxchg .* seq_cst seq_cst", "c"),
)

# Instructions of aarch64, in order of appearance; LLVM places blocks as it likes, so loops are
# judged by what follows what inside a block.
AARCH64 = {
    "seal_cell_nb": ["stlr"],
    "publish_cell_nb": ["stlr", "dmb ish"],
    "valid_cell_nb": ["dmb ishld"],
    "copy_nb": ["dmb ishld"],
    "write_row_nb": ["dmb ish", "stlr"],
    "finish_nb": ["stlr", "dmb ish"],
    "_read_word": ["ldar"],
    "_write_word": ["stlr"],
    "_acquire": ["dmb ishld"],
    "_release": ["dmb ish"],
}
ORDERING = re.compile(r"(ldapr|ldar|stlr|ldaxr|stlxr|dmb \w+)\b")


def named(name):
    """The kernel of that name and its signature."""
    return next((k, s) for k, s in SIGNATURES.items() if k.py_func.__name__ == name)


def atomics(ir: str) -> str:
    """The atomics of some IR as one-letter codes, in order."""
    letters = []
    for line in ir.splitlines():
        letters += [letter for pattern, letter in CODES if re.search(pattern, line)]
    return "".join(letters)


def function(ir: str, name: str) -> str:
    """The body of one function of the IR."""
    bodies = re.findall(r"^define [^\n]*\{.*?^\}$", ir, re.MULTILINE | re.DOTALL)
    return next(body for body in bodies if re.match(rf"define [^@]*@\w*\d{name}B", body))


@pytest.mark.parametrize("name", sorted(IR_ORDER))
def test_the_ir_holds_the_atomics_in_their_order(name):
    kernel, signature = named("publish_nb" if name == "_admit_nb" else name)
    assert re.fullmatch(IR_ORDER[name], atomics(function(optimised_ir(kernel, *signature), name)))


def test_the_ir_of_publishing_stores_the_tail_after_everything_else():
    kernel, signature = named("publish_nb")
    ir = function(optimised_ir(kernel, *signature), "publish_nb")
    assert atomics(ir) == "rR"
    lines = ir.splitlines()
    release = next(i for i, line in enumerate(lines) if "store atomic" in line)
    admit = next(i for i, line in enumerate(lines) if "_admit_nb" in line and "call" in line)
    fill = next(i for i, line in enumerate(lines) if "_fill_nb" in line and "call" in line)
    assert admit < fill < release


def test_the_ir_of_publishing_looks_at_the_gates_again_after_the_full_fence():
    kernel, signature = named("publish_nb")
    admit = function(optimised_ir(kernel, *signature), "_admit_nb")
    steps = re.findall(r"call [^\n]*slowest_gate_nb|fence seq_cst", admit)
    assert ["gates" if "slowest" in step else "fence" for step in steps] == [
        "gates", "fence", "gates"
    ]  # fmt: skip


def test_a_bounded_reader_loads_the_sequence_a_second_time_after_the_copy():
    kernel, signature = named("read_row_nb")
    assembly = aarch64_assembly(optimised_ir(kernel, *signature))
    opened = [i for i, line in enumerate(assembly) if re.match(r"ldap?r\b", line)]
    closed = [i for i, line in enumerate(assembly) if line == "dmb ishld"]
    assert len(opened) == len(closed) > 0
    for at in closed:
        after = assembly[at + 1 : at + 4]
        assert any(re.match(r"ldr x\d+, \[", line) for line in after), after


@pytest.mark.parametrize("name", sorted(AARCH64))
def test_aarch64_gets_its_ordering_instructions(name):
    kernel, signature = named(name)
    assembly = aarch64_assembly(optimised_ir(kernel, *signature))
    found = [match[1] for line in assembly if (match := ORDERING.match(line))]
    assert [re.sub("ldapr", "ldar", kind) for kind in found] == AARCH64[name]


def test_aarch64_publishes_with_a_fence_before_the_payload_and_a_release_after_it():
    kernel, signature = named("publish_nb")
    assembly = aarch64_assembly(optimised_ir(kernel, *signature))
    calls = [line for line in assembly if re.match(r"(bl .*(_admit_nb|_fill_nb)|stlr)", line)]
    kinds = [next(k for k in ("_admit_nb", "_fill_nb", "stlr") if k in line) for line in calls]
    assert kinds == ["_admit_nb", "_fill_nb", "stlr"]
    assert sum(line == "dmb ish" for line in assembly) == 2  # release fence; seq_cst when dropped


def test_aarch64_joins_a_ring_with_a_full_fence_between_gate_and_intent():
    kernel, signature = named("rejoin_nb")
    assembly = aarch64_assembly(optimised_ir(kernel, *signature))
    found = [match[1] for line in assembly if (match := ORDERING.match(line))]
    assert re.fullmatch(r"(ldap?r stlr dmb ish ldap?r )+stlr ", " ".join(found) + " ")


def test_plain_njit_would_lose_the_second_load():
    """Why the intrinsics exist: if this fails, LLVM has changed and the docstring has to."""

    def plain(versions, data, out):
        before = versions[0]
        for w in range(out.size):
            out[w] = data[w]
        return versions[0] == before

    ir = optimised_ir(fences.njit(plain), A1, A1, A1)
    assert atomics(ir) == ""


def test_read_only_arrays_can_be_loaded_from_but_not_stored_to():
    assert "load atomic" in optimised_ir(fences._read_word, READ_ONLY, INT)
    with pytest.raises(Exception, match="store_release"):
        optimised_ir(fences._write_word, READ_ONLY, INT, INT)
