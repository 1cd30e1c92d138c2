"""Sizes, names and banned calls: the bounds that keep the code readable, checked over every source
file."""

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "ipc", "shm", "tools", "web", "migrations", "tests")
MAX_LINE = 100
MAX_EXCEPT_EXCEPTION = 12
STDLIB = set(sys.stdlib_module_names)

# Where a banned call may stand: the one obvious place for it.
BANNED = {
    r"\btime\.time(_ns)?\(|CLOCK_REALTIME|datetime\.now\(|utcnow\(": {"shm/clock.py"},
    r"\beval\(|\bexec\(|\bpickle\b": set(),
    r"fastmath\s*=|parallel\s*=\s*True": set(),
    r"\bSharedMemory\(": {"shm/segments.py"},
    r"\bos\._exit\(": {"ipc/"},
    r"allow_pickle=True": set(),
}


def sources(packages: tuple[str, ...] = PACKAGES) -> list[Path]:
    found = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    assert len(found) > 20
    return sorted(found)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_file_is_longer_than_its_bound() -> None:
    too_long = []
    for path in sources():
        lines = len(path.read_text().splitlines())
        generous = path.name.endswith("_nb.py") or name(path).startswith("tests/")
        if lines > (600 if generous else 400):
            too_long.append(f"{name(path)} has {lines} lines")
    assert not too_long, too_long


def test_no_function_is_longer_than_its_bound() -> None:
    too_long = []
    for path in sources():
        bound = 120 if path.name.endswith("_nb.py") else 70
        for node in functions(ast.parse(path.read_text())):
            if length(node) > bound:
                too_long.append(f"{name(path)}:{node.name} has {length(node)} lines")
    assert not too_long, too_long


def test_the_median_function_is_near_ten_lines() -> None:
    lengths = [
        length(node)
        for path in sources(("engine", "ipc", "shm", "tools", "web"))
        for node in functions(ast.parse(path.read_text()))
    ]
    assert statistics.median(lengths) <= 12


def test_no_line_is_longer_than_a_hundred_characters() -> None:
    too_long = [
        f"{name(path)}:{number}"
        for path in sources()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > MAX_LINE
    ]
    assert not too_long, too_long


def test_every_module_says_first_what_it_is_for() -> None:
    silent = [
        name(path) for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent, silent


def test_no_module_is_a_drawer_or_named_after_the_standard_library() -> None:
    wrong = []
    for path in sources(("engine", "ipc", "shm", "tools", "web")):
        stem = path.stem
        if stem in {"utils", "util", "common", "helpers", "misc"} or stem in STDLIB - {"__main__"}:
            wrong.append(name(path))
    assert not wrong, wrong


def test_imports_stand_at_the_top_of_their_module() -> None:
    inside = []
    for path in sources(("engine", "ipc", "shm", "tools", "web")):
        if name(path) == "tools/check_machine.py":  # must say what is missing before importing it
            continue
        for node in functions(ast.parse(path.read_text())):
            if any(isinstance(child, ast.Import | ast.ImportFrom) for child in ast.walk(node)):
                inside.append(f"{name(path)}:{node.name}")
    assert not inside, inside


def test_catching_everything_is_rare() -> None:
    places = [
        f"{name(path)}:{number}"
        for path in sources(("engine", "ipc", "shm", "tools", "web"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"except (Base)?Exception\b", line)
    ]
    assert len(places) <= MAX_EXCEPT_EXCEPTION, places


@pytest.mark.parametrize("pattern", list(BANNED))
def test_banned_calls_stand_only_in_their_one_place(pattern: str) -> None:
    wrong = [
        f"{name(path)}:{number}"
        for path in sources(("engine", "ipc", "shm", "tools", "web"))
        if not any(name(path).startswith(place) for place in BANNED[pattern])
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line.split("#")[0])
    ]
    assert not wrong, wrong


def test_public_functions_and_classes_are_documented() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    bare = [
        f"{name(path)}:{node.name}"
        for path in sources(("engine", "ipc", "shm", "tools", "web"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, kinds) and node.name[0] != "_" and not ast.get_docstring(node)
    ]
    assert not bare, bare


def test_every_package_is_listed_by_hand() -> None:
    listed = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    )
    found = {
        name(path.parent).replace("/", ".")
        for path in sources(("engine", "ipc", "shm", "tools", "web", "migrations"))
        if path.name == "__init__.py"
    }
    assert listed == found


def test_engine_roles_import_neither_pandas_nor_exchange_calendars() -> None:
    modules = "engine.feeds.role, engine.bars.role, engine.indicators.role, engine.scan.role"
    modules += ", engine.alerts.role, engine.replay.recorder_role, web.role"
    heavy = "('pandas', 'exchange_calendars')"
    code = f"import {modules}, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_no_file_of_the_project_names_a_path_of_one_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wrong = []
    for line in listed.stdout.splitlines():
        path = ROOT / line
        if path.suffix not in {
            ".py",
            ".md",
            ".toml",
            ".cfg",
            ".json",
            ".sql",
            ".js",
            ".css",
            ".html",
        }:
            continue
        if re.search(r"/root/|/home/\w+/", path.read_text(errors="replace")):
            wrong.append(line)
    assert wrong in ([], ["tests/house/test_bounds.py"]), wrong
