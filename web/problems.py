"""Errors as RFC 9457 problem documents: a status and one sentence for the reader."""

import http
from collections.abc import Mapping

import msgspec
from aiohttp import web

PROBLEM_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 (the RFC's word)
    """Raised when a request cannot be answered; carries the HTTP status and one sentence.

    more: members of the document beside those that every problem has.
    """

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = dict(more or {})


def problem_response(
    status: int, detail: str, path: str, headers: Mapping[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> web.Response:
    """Build the problem document; `type` is about:blank, so `title` is the status' own phrase."""
    body = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": path,
        **(more or {}),
    }
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type=PROBLEM_TYPE, headers=headers
    )


def json_response(document: object, status: int = 200) -> web.Response:
    """Answer a document as JSON; NaN becomes null (msgspec), times are already text."""
    return web.Response(
        body=msgspec.json.encode(document), status=status, content_type="application/json"
    )
