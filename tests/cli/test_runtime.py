"""The environment that is set before numpy and numba are imported."""

import os
from pathlib import Path

import pytest

from tools import runtime


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A little source tree: a kernel, its callee in another file, constants, a bystander."""
    sources = {
        "engine/bars/apply_nb.py": "from engine.bars import pool_nb\n"
        "from engine.domain.records import (\n    R_LAST,\n)\n",
        "engine/bars/pool_nb.py": "def push(): return 1\n",
        "engine/domain/records.py": "R_LAST = 0\n",
        "engine/alerts/service.py": "x = 1\n",
        "shm/fences.py": "y = 1\n",
    }
    for name, text in sources.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "tree"


def test_a_changed_callee_changes_the_cache_path(tree: Path) -> None:
    for name in (
        "engine/bars/apply_nb.py", "engine/bars/pool_nb.py", "engine/domain/records.py",
        "shm/fences.py",
    ):
        before = runtime.cache_path(tree)
        path = tree / name
        path.write_text(path.read_text() + "# changed\n")
        assert runtime.cache_path(tree) != before, name


def test_a_changed_file_without_kernels_does_not(tree: Path) -> None:
    before = runtime.cache_path(tree)
    (tree / "engine/alerts/service.py").write_text("x = 2\n")
    assert runtime.cache_path(tree) == before


def test_the_cache_lies_under_the_cache_home_and_can_be_moved(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = runtime.cache_path(tree)
    assert path.parent == tmp_path / "cache" / "tapescan" / "numba"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "own"))
    assert runtime.prepare(tree).parent == tmp_path / "own"
    assert runtime.prepare(tree).parent == tmp_path / "own", "a second call stays"
    assert Path(os.environ["NUMBA_CACHE_DIR"]).name.endswith(runtime.fingerprint(tree))
    assert Path(os.environ["NUMBA_CACHE_DIR"]).stat().st_mode & 0o777 == 0o700


def test_a_cache_of_other_sources_goes_after_a_month(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "own"))
    current = runtime.prepare(tree)
    old, young = (current.parent / f"tapescan-kernels-{digit * 16}" for digit in "01")
    for path, days in ((old, 31), (young, 29)):
        path.mkdir()
        at_s = current.stat().st_mtime - days * 86_400
        os.utime(path, (at_s, at_s))
    runtime.prepare(tree)
    assert not old.exists()
    assert young.exists()
    assert current.exists()


def test_every_library_gets_one_thread(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "8")
    runtime.prepare(tree)
    assert {os.environ[name] for name in runtime.THREAD_VARIABLES} == {"1"}
