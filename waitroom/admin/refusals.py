"""What the admin API answers when it does not do what was asked: problem documents (RFC 9457).

Law: a refusal says what is allowed, and repeats no secret.
"""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web


class RefusedError(Exception):
    """An API request that is not done; carries its answer."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})


def problem(status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> web.Response:
    """A problem document; `detail` is for people."""
    body: dict[str, object] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        body["detail"] = detail
    return web.json_response(body, status=status, content_type="application/problem+json", headers=headers)
