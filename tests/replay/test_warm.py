"""Everything is compiled before the roles are forked: one that compiles is taken for dead."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_is_compiled_after_the_kernels_were_warmed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.replay.warmed"],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["warm"] > 40
    assert found["later"] == []
