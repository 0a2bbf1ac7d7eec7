"""The OpenAPI 3.1 document of the admin API, made from its endpoints and models.

Law: nothing is written twice. A path, a key or a status that is not in an endpoint is not in the document either.
"""

from collections.abc import Iterable
from typing import Any

from pydantic.json_schema import models_json_schema

from waitroom.admin.endpoints import JSON, Endpoint
from waitroom.admin.shapes import Problem
from waitroom.settings.spelling import EXAM_NAME, NAME

PATH = "/api/v1/openapi.json"

REFERENCE = "#/components/schemas/{model}"
PROBLEM_JSON = "application/problem+json"

_ALL = {401: "No bearer token, or none of ours.", 429: "Too many tokens that are none."}
_NAMES = {
    "pool": {"type": "string", "pattern": f"^{NAME}$"},
    "backend": {"type": "string", "pattern": f"^{NAME}$"},
    "exam": {"type": "string", "pattern": f"^{EXAM_NAME}$"},
    "code": {"type": "string", "minLength": 1, "maxLength": 40, "pattern": "^[A-Za-z0-9_-]+$"},
}


def document(endpoints: Iterable[Endpoint], version: str) -> dict[str, Any]:
    """The whole document."""
    all_of_them = list(endpoints)
    asked = [(each.asks, "validation") for each in all_of_them if each.asks]
    shown = [(each.answers, "serialization") for each in all_of_them if each.answers]
    pairs = [*dict.fromkeys([*asked, *shown, (Problem, "serialization")])]
    refs, schemas = models_json_schema(pairs, ref_template=REFERENCE)  # type: ignore[arg-type] # a list of literals
    paths: dict[str, dict[str, Any]] = {}
    for each in all_of_them:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "waitroom admin API",
            "version": version,
            "description": "Instants are milliseconds of the store's clock; whatever is refused is a problem document.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of admin.tokens, with the scope that an operation names.",
                }
            },
        },
    }


def _operation(endpoint: Endpoint, refs: Any) -> dict[str, Any]:  # noqa: ANN401 - keyed by model and mode
    name = getattr(endpoint.handler, "__qualname__", "").replace("._", ".")
    found: dict[str, Any] = {
        "operationId": name,
        "summary": endpoint.title,
        "description": f"Needs the scope `{endpoint.scope}`.",
        "parameters": [
            {"name": each, "in": "path", "required": True, "schema": _NAMES[each]} for each in endpoint.names
        ],
        "responses": _responses(endpoint, refs),
    }
    if endpoint.query is not None:
        schema = endpoint.query.model_json_schema()
        found["parameters"] += [
            {"name": each, "in": "query", "required": False, "schema": each_schema}
            for each, each_schema in schema["properties"].items()
        ]
    if endpoint.asks is not None:
        content = {JSON: {"schema": refs[endpoint.asks, "validation"]}}
        found["requestBody"] = {"required": not endpoint.optional, "content": content}
    return found


def _responses(endpoint: Endpoint, refs: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    done: dict[str, Any] = {"description": "Done."}
    if endpoint.answers is not None:
        done["content"] = {JSON: {"schema": refs[endpoint.answers, "serialization"]}}
    elif endpoint.media != JSON:
        done["content"] = {endpoint.media: {"schema": {"type": "string"}}}
    refused = {**_ALL, **endpoint.refuses, 503: "The store does not answer."}
    if endpoint.names:
        refused.setdefault(404, "No such thing; the answer names those there are.")
    if endpoint.scope == "operate":
        refused[403] = "The token has not the scope, or a page of another site asks."
    else:
        refused.setdefault(403, "The token has not the scope.")
    if endpoint.asks is not None:
        refused |= {400: "Not JSON.", 413: "Too long.", 415: "Another type than JSON."}
    if endpoint.asks is not None or endpoint.query is not None:
        refused[422] = "It says what is not allowed."
    content = {PROBLEM_JSON: {"schema": refs[Problem, "serialization"]}}
    responses = {"200" if "content" in done else "204": done}
    return responses | {
        str(status): {"description": said, "content": content} for status, said in sorted(refused.items())
    }
