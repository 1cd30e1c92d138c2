"""Brings every kernel to the disk cache: `python -m tools.kernels`, before many processes start."""

# ruff: noqa: E402 - nothing may import numpy or numba before the environment is prepared
from tools import runtime

_CACHE = runtime.prepare()

from engine.replay.warm import compile_groups


def main() -> None:
    """Compile what is not cached yet, on all processors, and say so; nothing to do: no word."""
    compile_groups(lambda step: print(step, flush=True), _CACHE)


if __name__ == "__main__":
    main()
