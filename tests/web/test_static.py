"""The page's files: vendored as recorded, nothing from elsewhere, nothing inline."""

import hashlib
import json
import re

from web.routes import ROUTES
from web.static_files import ROOT, load

VENDOR = ROOT / "vendor"
# Names, not addresses to load from: a namespace, and a link that a person may follow.
ELSEWHERE = {"http://www.w3.org/2000/svg", "https://www.tradingview.com/"}
API_DOC = ROOT.parents[1] / "docs" / "api.md"


def test_vendored_files_are_what_their_record_says() -> None:
    recorded = json.loads((VENDOR / "vendor.json").read_text())
    for entry in recorded:
        content = (VENDOR / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], entry["file"]
        assert (VENDOR / entry["licence_file"]).stat().st_size > 500
        assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
    known = {entry["file"] for entry in recorded} | {"vendor.json"}
    assert {path.name for path in VENDOR.iterdir() if path.is_file()} == known


def test_the_page_loads_nothing_from_elsewhere_and_nothing_inline() -> None:
    for path in ROOT.rglob("*"):
        if path.suffix not in {".js", ".css", ".html", ".svg"}:
            continue
        text = path.read_text()
        found = set(re.findall(r"(?:https?|wss?)://[^\"'\s<`$]+", text))
        assert found <= ELSEWHERE, path
        assert "innerHTML" not in text, path
    page = (ROOT / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script>", page)


def test_every_module_of_the_page_exists() -> None:
    files = load()
    for name, file in files.items():
        if not name.startswith("js/"):
            continue
        text = file.content.decode()
        for target in re.findall(r"(?:from|import)\s*\(?\"(\.{1,2}/[^\"]+)\"", text):
            base = name.split("/")[:-1]
            for part in target.split("/"):
                base = base[:-1] if part == ".." else base if part == "." else [*base, part]
            assert "/".join(base) in files, (name, target)


def test_every_file_has_a_media_type() -> None:
    assert all(file.content_type != "application/octet-stream" for file in load().values())


def test_every_route_is_in_the_docs() -> None:
    text = API_DOC.read_text()
    missing = [route.path for route in ROUTES if f"`{route.path.split('{path')[0]}" not in text]
    assert not missing
