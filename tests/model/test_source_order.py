"""The code of shm/ does to memory what the models do, in their order."""

from types import ModuleType

import pytest

from shm import blob, cells_nb, fences, lane, names_nb, ring_nb, seqlock_nb
from tests.model.source_order import memory_order

_SLOT_VERSION = "self._word(slot, VERSION)"
ORDERS: list[tuple[ModuleType, str, list[str]]] = [
    (
        seqlock_nb,
        "write_row_nb",
        [
            "load_relaxed i", "store_relaxed i", "fence_release", "plain store rows",
            "load_relaxed i", "store_release i",
        ],
    ),
    (
        seqlock_nb,
        "read_row_nb",
        ["load_acquire i", "plain load rows", "fence_acquire", "load_relaxed i"],
    ),
    (
        names_nb,
        "set_name_nb",
        [
            # what a dead writer began
            "load_relaxed VERSION", "plain load ctl", "plain store names",
            "store_release VERSION", "fence_release",
            # the redo record, odd, the name, even
            "load_relaxed VERSION", "plain store ctl", "store_release VERSION", "fence_release",
            "plain store names", "fence_release", "plain load names", "store_relaxed 0",
            "store_release VERSION", "fence_release",
        ],
    ),
    (
        names_nb,
        "get_name_nb",
        [
            "load_acquire VERSION", "plain load ctl", "plain load names",
            "fence_acquire", "load_relaxed VERSION",
        ],
    ),
    (cells_nb, "seal_cell_nb", ["store_release SEALED"]),
    (cells_nb, "publish_cell_nb", ["store_release PUBLISHED", "fence_release"]),
    (cells_nb, "valid_cell_nb", ["fence_acquire", "load_relaxed PUBLISHED"]),
    (
        ring_nb,
        "publish_nb",
        [
            "load_relaxed TAIL", "load_acquire word", "load_relaxed INTENT", "store_relaxed INTENT",
            # only when a gate is dropped
            "fence_seq_cst", "load_acquire word",
            "fence_release", "plain store data", "store_release TAIL",
        ],
    ),
    (ring_nb, "copy_nb", ["plain load data", "fence_acquire", "load_relaxed INTENT"]),
    (ring_nb, "move_gate_nb", ["load_relaxed word", "compare_swap word"]),
    (
        ring_nb,
        "rejoin_nb",
        [
            "load_acquire TAIL", "store_release word", "fence_seq_cst", "load_acquire INTENT",
            # given up
            "store_release word",
        ],
    ),
    (lane, "Lane.publish", ["read_word TAIL", "read_word HEAD", "write_word TAIL"]),
    (lane, "Lane.set_head", ["read_word HEAD", "read_word TAIL", "write_word HEAD"]),
    (
        blob,
        "Blob._fill",
        [
            f"write_word {_SLOT_VERSION}", "release", "plain store data", "plain store ctl",
            f"write_word {_SLOT_VERSION}",
        ],
    ),
    (
        blob,
        "Blob.read",
        [
            f"read_word {_SLOT_VERSION}", "plain load ctl", "plain load data", "acquire",
            f"read_word {_SLOT_VERSION}",
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("module", "function", "order"), ORDERS, ids=[f"{m.__name__}.{f}" for m, f, _ in ORDERS]
)
def test_a_function_touches_memory_in_the_order_that_was_modelled(
    module: ModuleType, function: str, order: list[str]
) -> None:
    assert memory_order(module, function) == order


def test_read_word_and_write_word_are_acquire_and_release() -> None:
    assert memory_order(fences, "_read_word") == ["load_acquire i"]
    assert memory_order(fences, "_write_word") == ["store_release i"]
    assert memory_order(fences, "_acquire") == ["fence_acquire"]
    assert memory_order(fences, "_release") == ["fence_release"]
