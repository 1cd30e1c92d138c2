"""What a run of the tests says when a part of them cannot run, and when none of them does."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NO_TESTS_RAN = 5  # pytest's exit code


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest on some of the tests of the front, as `make test` starts it."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "1", "--dist", "loadfile", *arguments],
        cwd=ROOT / "tests/web", env=os.environ | environ, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip


def test_without_chromium_the_tests_of_the_page_are_skipped_the_others_run_and_it_is_said(
    tmp_path: Path,
) -> None:
    done = run("test_page.py", "test_movers.py", PATH=str(tmp_path), TAPESCAN_CHROMIUM="")
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert len(said) == 1, done.stdout
    found = re.fullmatch(r"SKIPPED (\d+): (no Chromium on this machine: .+)", said[0])
    assert found is not None, said
    of_the_page = (ROOT / "tests/web/test_page.py").read_text().count("\ndef test_")
    assert int(found[1]) >= of_the_page > 5
    end = done.stdout.splitlines()[-1]
    assert f"{found[1]} skipped" in end and re.search(r"\b[1-9]\d* passed", end)


def test_a_run_that_finds_no_test_or_skips_them_all_is_a_failure(tmp_path: Path) -> None:
    assert run("test_movers.py", "-k", "nothing_of_this_name").returncode == NO_TESTS_RAN
    done = run("test_page.py", PATH=str(tmp_path), TAPESCAN_CHROMIUM="")
    assert done.returncode == NO_TESTS_RAN, done.stdout
