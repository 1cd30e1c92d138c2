"""Known vulnerabilities of the locked packages, for `make audit`: `python -m tools.audit`.

pip-audit alone takes a service that answers without advisories for one that knows of none, and ends
well. So it is asked first for a release that is known to be vulnerable.
"""

import json
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import click

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
VULNERABLE = "jinja2==2.10"  # CVE-2019-10906 and more
TIMEOUT_S = 600
SILENT = "The advisory service cannot be asked, so nothing is known about the locked packages"


class AuditError(click.ClickException):
    """Raised when it cannot be told whether the packages are sound; one sentence why."""


def ask(requirements: Path, *options: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package: name, version and vulns, or name and skip_reason. Raises
    AuditError when the service does not answer."""
    command = [
        sys.executable, "-m", "pip_audit", "--disable-pip", "--progress-spinner", "off",
        "--format", "json", "-r", str(requirements), *options,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        raise AuditError(f"{SILENT}: no answer in {TIMEOUT_S} s.") from None
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise AuditError(f"{SILENT}: {textwrap.shorten(last, 200)}.") from None
    return found


def prove_service(*options: str) -> None:
    """Raise AuditError unless the service knows what everybody knows."""
    with tempfile.TemporaryDirectory() as place:
        canary = Path(place) / "canary.txt"
        canary.write_text(VULNERABLE + "\n")
        found = ask(canary, "--no-deps", *options)
    if not any(package.get("vulns") for package in found):
        raise AuditError(
            f"The advisory service answers, but knows nothing even about {VULNERABLE}, so its "
            "silence about the locked packages proves nothing."
        )


def audit(lock: Path, *options: str) -> tuple[int, list[str]]:
    """How many packages are locked, and one line for each known vulnerability of one. Raises
    AuditError when the service cannot be asked about a package."""
    prove_service(*options)
    found = ask(lock, "--require-hashes", *options)
    skipped = [package for package in found if "skip_reason" in package]
    if skipped or not found:
        reason = skipped[0]["skip_reason"] if skipped else "it names none"
        share = f"{len(skipped)} of {len(found)} packages"
        raise AuditError(f"{share} of {lock.name} could not be audited: {reason}.")
    return len(found), [
        f"{package['name']} {package['version']}: {vuln['id']}, fixed in "
        f"{', '.join(vuln['fix_versions']) or 'no release yet'}"
        for package in found
        for vuln in package["vulns"]
    ]


@click.command()
@click.option("--lock", type=click.Path(path_type=Path), default=LOCK, help="The lock file.")
@click.option("--osv-url", help="Ask this OSV service instead of PyPI.")
def main(lock: Path, osv_url: str | None) -> None:
    """Tell the known vulnerabilities of the locked packages; exit 1 if there is one, or if that
    cannot be found out."""
    options = ("--vulnerability-service", "osv", "--osv-url", osv_url) if osv_url else ()
    count, told = audit(lock, *options)
    for line in told:
        click.echo(line)
    if told:
        raise click.ClickException(f"Known vulnerabilities in {count} packages: {len(told)}.")
    click.echo(f"No known vulnerability in {count} locked packages.")


if __name__ == "__main__":
    main()
