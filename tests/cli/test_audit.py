"""`make audit` against advisory services that know, that know nothing, and that are not there."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKED = """idna==3.7 \\
    --hash=sha256:82fee1fc78add43492d3a1898bfa6d8a904cc97d8427f683ed8e798d07761aa0
toolz==1.0.0 \\
    --hash=sha256:292c8f1c4e7516bf9086f8850935c799a874039c8bcf959d47b600e4c44a6236
"""
ADVISORY = {
    "id": "PYSEC-1", "summary": "bad", "affected": [
        {"package": {"name": "x", "ecosystem": "PyPI"}, "ranges": []},
    ],
}  # fmt: skip
Answer = Callable[[str], tuple[int, object]]  # name of a package -> status, document


def known(*vulnerable: str) -> Answer:
    """A service that has an advisory for these packages."""
    return lambda name: (200, {"vulns": [ADVISORY]} if name in vulnerable else {})


@contextlib.contextmanager
def service(answer: Answer) -> Iterator[str]:
    """An advisory service in OSV's protocol, on a free port; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, document = answer(query["package"]["name"])
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(place: Path, url: str, locked: str = LOCKED) -> tuple[int, str, str]:
    """Exit code, output and error of an audit."""
    (place / "locked.txt").write_text(locked)
    done = subprocess.run(
        [sys.executable, "-m", "tools.audit", "--lock", str(place / "locked.txt"),
         "--osv-url", url],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_service_that_knows_of_nothing_in_the_locked_packages_ends_well(tmp_path: Path) -> None:
    with service(known("jinja2")) as url:
        assert audit(tmp_path, url) == (0, "No known vulnerability in 2 locked packages.\n", "")


def test_a_known_vulnerability_is_named_and_fails(tmp_path: Path) -> None:
    with service(known("jinja2", "idna")) as url:
        assert audit(tmp_path, url) == (
            1, "idna 3.7: PYSEC-1, fixed in no release yet\n",
            "Error: Known vulnerabilities in 2 packages: 1.\n",
        )  # fmt: skip


def only_the_canary(name: str) -> tuple[int, object]:
    return known("jinja2")(name) if name == "jinja2" else (503, {})


@pytest.mark.parametrize(
    ("answer", "says"),
    [(known(), "Error: The advisory service answers, but knows nothing even about jinja2==2.10"),
     (lambda _: (503, {}), "Error: The advisory service cannot be asked"),
     (lambda _: (200, "not what was asked"), "Error: The advisory service cannot be asked"),
     (only_the_canary, "Error: The advisory service cannot be asked")],
    ids=["without advisories", "unavailable", "nonsense", "gone half-way"],
)  # fmt: skip
def test_a_service_that_cannot_tell_fails_with_one_sentence(
    answer: Answer, says: str, tmp_path: Path
) -> None:
    with service(answer) as url:
        code, out, error = audit(tmp_path, url)
    assert (code, out) == (1, "")
    assert error.startswith(says)
    assert error.endswith(".\n") and error.count("\n") == 1


def test_a_service_that_is_not_there_and_a_lock_without_packages_fail(tmp_path: Path) -> None:
    with service(known("jinja2")) as url:
        code, _, error = audit(tmp_path, url, "# nothing\n")
        assert (code, error.count("\n")) == (1, 1)
    code, out, error = audit(tmp_path, url)
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert error.startswith("Error: The advisory service cannot be asked")
