"""`tapescan bench`: figures beside their targets and peers."""

import importlib.util
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import tools.bench
from tools.options import entry

FIELDS = ("name", "value", "unit", "target", "met", "peer", "peer_value", "ratio")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@click.option("--list", "only_list", is_flag=True, help="Only say which benchmarks there are.")
def bench(names: tuple[str, ...], as_json: bool, only_list: bool) -> int:
    """Measure the engine on this machine (all benchmarks, or those whose name holds a NAME).

    Exit code 1 when a target is missed.
    """
    chosen = [name for name in modules() if not names or any(part in name for part in names)]
    if not chosen:
        known = ", ".join(modules()) or "none"
        raise click.UsageError(f"no benchmark is named {' or '.join(names)}; there are {known}.")
    if only_list:
        click.echo("\n".join(chosen))
        return 0
    missed = 0
    for row in rows(chosen):
        missed += row["met"] is False
        click.echo(json.dumps(row) if as_json else line(row))
    return 1 if missed else 0


def modules() -> list[str]:
    """Names of the modules of tools.bench that have a run()."""
    found = []
    for info in pkgutil.iter_modules(tools.bench.__path__):
        spec = importlib.util.find_spec(f"tools.bench.{info.name}")
        source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
        if "\ndef run(" in source:
            found.append(info.name)
    return sorted(found)


def rows(names: list[str]) -> Iterator[dict[str, Any]]:
    """Every row of the named benchmarks, as soon as it is there."""
    for name in names:
        importlib.import_module(f"tools.bench.{name}")
        for row in entry(f"tools.bench.{name}:run")():
            yield {field: _field(row, field) for field in FIELDS}


def _field(row: Any, field: str) -> Any:
    return row.get(field) if isinstance(row, dict) else getattr(row, field, None)


def line(row: dict[str, Any]) -> str:
    """One row for a reader."""
    target = f"target {_number(row['target'])}" if row["target"] is not None else ""
    verdict = {True: "met", False: "MISSED"}.get(row["met"], "")
    peer = ""
    if row["peer"]:
        peer = f"{row['peer']} {_number(row['peer_value'])}, ratio {_number(row['ratio'])}"
    value = f"{_number(row['value'])} {row['unit'] or ''}"
    return f"{row['name']:<44} {value:>18}  {target:<20} {verdict:<6}  {peer}".rstrip()


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
