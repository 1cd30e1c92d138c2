"""The page's files, read at start, served from memory by exact path: nothing to traverse."""

import dataclasses
import hashlib
import mimetypes
from pathlib import Path

from aiohttp import web

from web.principal import PRINCIPAL
from web.problems import Problem

ROOT = Path(__file__).parent / "static"
_TYPES = {
    ".mjs": "text/javascript", ".js": "text/javascript", ".css": "text/css",
    ".html": "text/html", ".svg": "image/svg+xml", ".woff2": "font/woff2",
    ".json": "application/json", ".txt": "text/plain", ".webmanifest": "application/manifest+json",
}  # fmt: skip
_TEXT = ("text/", "application/json", "application/manifest+json", "image/svg+xml")


@dataclasses.dataclass(frozen=True)
class StaticFile:
    """Bytes of one file with its media type and a strong validator."""

    content: bytes
    content_type: str
    etag: str


def load(root: Path = ROOT) -> dict[str, StaticFile]:
    """Every file below root by its path from there, like 'js/app.js'."""
    files = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        content = path.read_bytes()
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
        digest = hashlib.sha256(content).hexdigest()[:32]
        files[path.relative_to(root).as_posix()] = StaticFile(
            content, kind or "application/octet-stream", digest
        )
    return files


FILES: web.AppKey[dict[str, StaticFile]] = web.AppKey("static_files", dict)


async def get_page(request: web.Request) -> web.StreamResponse:
    """The page itself; whoever has to sign in, or to change a password, is sent to do it."""
    found = request.get(PRINCIPAL)
    if found is None or found.must_change:
        return web.Response(status=303, headers={"Location": "/sign-in"})
    return _answer(request, "index.html")


async def get_sign_in(request: web.Request) -> web.StreamResponse:
    """The page to sign in on."""
    return _answer(request, "sign-in.html")


async def get_static(request: web.Request) -> web.StreamResponse:
    """One file of the page."""
    return _answer(request, request.match_info["path"])


def _answer(request: web.Request, name: str) -> web.StreamResponse:
    file = request.app[FILES].get(name)
    if file is None:
        raise Problem(404, f"Nothing is served at {request.path}.")
    headers = {"Cache-Control": "no-cache", "ETag": f'"{file.etag}"'}
    if _matches(request, file.etag):
        return web.Response(status=304, headers=headers)
    charset = "utf-8" if file.content_type.startswith(_TEXT) else None
    return web.Response(
        body=file.content, content_type=file.content_type, charset=charset, headers=headers
    )


def _matches(request: web.Request, etag: str) -> bool:
    sent = request.if_none_match or ()
    return any(tag.value in (etag, "*") for tag in sent)
