"""An endpoint of the admin API as a value: what it is asked, what it answers, who may; routes are made from it, and the
OpenAPI document is.

Law: what the document says of an endpoint is what is checked, since both come from here. Whatever goes wrong is a
problem document: not JSON 400, no such thing 404, another type 415, JSON that says what is not allowed 422.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from waitroom.admin.access import Access, Caller, Scope
from waitroom.admin.refusals import RefusedError, away
from waitroom.admin.shapes import Asked, Query, Shown
from waitroom.errors import StoreError

JSON = "application/json"

MAX_WHERE = 60
"""Characters of the name of a key that a complaint repeats."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that may be made: who asks, and the names in the path."""

    request: web.Request
    who: Caller
    names: Mapping[str, str]


Handler = Callable[..., Awaitable[Shown | web.StreamResponse | None]]
"""Gets the Call, then the query if the endpoint has one, then what is asked if it has a body. None answers 204."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    method: str
    path: str
    scope: Scope
    title: str
    handler: Handler
    answers: type[Shown] | None = None
    """None: nothing (204), or what `media` says."""
    asks: type[Asked] | None = None
    optional: bool = False
    """Whether the body may be left out."""
    query: type[Query] | None = None
    media: str = JSON
    refuses: Mapping[int, str] = field(default_factory=dict)
    """Statuses of its own beside those that all have, each with when."""

    @property
    def names(self) -> list[str]:
        """Those in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


class Part(Protocol):
    """Some endpoints that belong together."""

    def endpoints(self) -> list[Endpoint]:
        """All of them."""


def routes(endpoints: list[Endpoint], access: Access) -> list[web.RouteDef]:
    """What the listener's router is told."""
    return [
        web.get(each.path, _handler(each, access))
        if each.method == "GET"
        else web.route(each.method, each.path, _handler(each, access))
        for each in endpoints
    ]


def _handler(endpoint: Endpoint, access: Access) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        given: list[Any] = [Call(request, access.of(request, endpoint.scope), request.match_info)]
        if endpoint.query is not None:
            given.append(_query(request, endpoint.query))
        if endpoint.asks is not None:
            given.append(await _body(request, endpoint.asks, optional=endpoint.optional))
        try:
            answer = await endpoint.handler(*given)
        except StoreError as error:
            raise away(operates=endpoint.scope == "operate") from error
        if answer is None:
            return web.Response(status=204)
        return web.json_response(text=answer.model_dump_json()) if isinstance(answer, Shown) else answer

    return handle


def _query(request: web.Request, model: type[Query]) -> Query:
    twice = sorted({name for name in request.query if len(request.query.getall(name)) > 1})
    if twice:
        raise RefusedError(422, f"{', '.join(twice)}: given twice.")
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise RefusedError(422, complaint(error, model)) from error


async def _body(request: web.Request, model: type[Asked], *, optional: bool) -> Asked:
    body = await request.read()
    if not body and optional:
        return model()
    if request.content_type != JSON:
        raise RefusedError(415, "The body is JSON: Content-Type: application/json.")
    refuse_packed(request)
    try:
        found = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:  # bad UTF-8, bad JSON, a number or a nesting beyond all use
        raise RefusedError(400, "The body is not JSON.") from error
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise RefusedError(422, complaint(error, model)) from error


def refuse_packed(request: web.Request) -> None:
    """What is asked is short: nobody need pack it, and nothing is unpacked here."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError(415, "The body is not packed: no Content-Encoding.", {"Accept-Encoding": "identity"})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; two values of one key are two readings of one request (RFC 8259 section 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name[:MAX_WHERE] for name in names if names.count(name) > 1})
        raise RefusedError(422, f"{', '.join(twice)}: given twice.")
    return found


def complaint(error: ValidationError, model: type[BaseModel]) -> str:
    """Every problem in one sentence, and what is allowed; what was sent is not repeated."""
    found = []
    for each in error.errors(include_input=False, include_url=False, include_context=False):
        where = ".".join(str(part) for part in each["loc"] if part != "str")
        found.append(f"{where[:MAX_WHERE] or 'body'}: {_said(each, model)}")
    return f"{'; '.join(dict.fromkeys(found))}. Allowed: {', '.join(model.model_fields)}."


def _said(each: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong; a pattern is for programs, so people are told what it is for."""
    known = model.model_fields.get(str(each["loc"][0])) if each["loc"] else None
    if each["type"] != "string_pattern_mismatch" or known is None:
        return each["msg"]
    return "it cannot be this; " + (known.description or "see the OpenAPI document").rstrip(".")
