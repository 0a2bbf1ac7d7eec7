"""What the admin API answers when it does not do what was asked: problem documents (RFC 9457).

Law: a refusal says what is allowed, and repeats no secret.
"""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from waitroom.admin.shapes import Problem


class RefusedError(Exception):
    """An API request that is not done; carries its answer."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})


def away(*, operates: bool = False) -> RefusedError:
    """The store does not answer. `operates`: something was to be changed."""
    said = "; nothing was changed, as far as is known" if operates else ""
    return RefusedError(503, f"The store does not answer{said}.", {"Retry-After": "2"})


def problem(status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> web.Response:
    """A problem document; `detail` is for people."""
    said = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail or None)
    body = said.model_dump(exclude_none=True)
    return web.json_response(body, status=status, content_type="application/problem+json", headers=headers)
