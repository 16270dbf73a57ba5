"""OpenAPI: the description of the JSON interface, from the same declarations that the server answers by.

https://spec.openapis.org/oas/v3.1.0. Pure: the same endpoints give the same document.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.reads.shapes import Shape
from app.views.endpoints import Asked, Endpoint
from app.web.callers import Role
from app.web.problems import CONTENT_TYPE as PROBLEM

OPENAPI: Final = "3.1.0"
PATH: Final = "/openapi.json"

_REF: Final = "#/components/schemas/{model}"
#: aiohttp's patterns within braces: `{entity_id:.+}`.
_PATTERN: Final = re.compile(r"{(\w+):[^}]*}")

#: What any request may be answered with, and why.
_PROBLEMS: Final[Mapping[int, str]] = {
    400: "The request is not as it is described here.",
    401: "A token is needed.",
    403: "The role does not allow it, or nothing may be changed.",
    404: "It is not there.",
    408: "The body did not come in time.",
    500: "An error of this worker; its log has it.",
    502: "Another worker that has it does not answer.",
    503: "PostgreSQL, Kafka or this worker cannot answer now.",
    504: "It took too long.",
}
_OF_BODIES: Final[Mapping[int, str]] = {
    409: "It cannot be done, and doing it again will not help.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "The body is not as it is described here.",
}


class Problem(Shape):
    """What is wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    """A sentence for a person."""


class OpenApi(BaseModel):
    """An OpenAPI document."""


def openapi_endpoint(endpoints: Sequence[Endpoint]) -> Endpoint:
    """The description of these endpoints and itself; it changes with the version and the domains only."""

    async def describe(asked: Asked) -> web.Response:
        if asked.request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=body, content_type="application/json", headers={"ETag": etag})

    own = Endpoint(path=PATH, answer=describe, summary="This description.", answers=OpenApi)
    body = orjson.dumps(openapi_document([*endpoints, own]))
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return own


def openapi_document(endpoints: Iterable[Endpoint]) -> Mapping[str, Any]:
    """The document, ready for JSON."""
    known = list(endpoints)
    read, written = _models(known)
    schemas, definitions = models_json_schema([*read, *written], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in known:
        place = paths.setdefault(_PATTERN.sub(r"{\1}", endpoint.path), {})
        place[endpoint.method] = _operation(endpoint, schemas)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Innervate",
            "version": version("innervate"),
            "description": "What a worker knows, and what operators may do there. Lists are read page by page: give"
            " `next` of one page as `before` for the following one.",
        },
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_Schemas = Mapping[Any, Mapping[str, Any]]


def _models(
    endpoints: Iterable[Endpoint],
) -> tuple[list[tuple[type[BaseModel], JsonSchemaMode]], list[tuple[type[BaseModel], JsonSchemaMode]]]:
    """What is read of requests, and what is written in answers."""
    read: dict[type[BaseModel], None] = {}
    written: dict[type[BaseModel], None] = {Problem: None}
    for endpoint in endpoints:
        read |= dict.fromkeys(filter(None, (endpoint.place, endpoint.query, endpoint.body)))
        written |= dict.fromkeys((endpoint.answers, *endpoint.others.values()))
    return [(model, "validation") for model in read], [(model, "serialization") for model in written]


def _operation(endpoint: Endpoint, schemas: _Schemas) -> Mapping[str, Any]:
    responses = {
        str(endpoint.status): _response(endpoint.summary, endpoint.answers, schemas, endpoint.media_type),
        **{str(status): _response("See the shape.", model, schemas) for status, model in endpoint.others.items()},
    }
    problems = {**_PROBLEMS, **(_OF_BODIES if endpoint.body else {})}
    for status, why in problems.items():
        responses.setdefault(str(status), _response(why, Problem, schemas, PROBLEM))
    operation = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "parameters": [*_parameters(endpoint.place, "path"), *_parameters(endpoint.query, "query")],
        "responses": responses,
        "x-role": endpoint.role.word,
    }
    if endpoint.role == Role.NOTHING:
        operation["security"] = [{}]
    if endpoint.body is not None:
        schema = schemas[endpoint.body, "validation"]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", _PATTERN.sub(r"{\1}", endpoint.path).lower()).strip("_")
    return f"{endpoint.method}_{words}"


def _response(
    description: str, model: type[BaseModel], schemas: _Schemas, media_type: str = "application/json"
) -> Mapping[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schemas[model, "serialization"]}}}


def _parameters(model: type[BaseModel], place: str) -> Iterable[Mapping[str, Any]]:
    """The fields of a model as parameters; their schemas stand alone, because they are simple."""
    schema = model.model_json_schema()
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        told = {key: value for key, value in field.items() if key not in {"title", "default", "description"}}
        # A parameter is left out in place of being null.
        variants = [variant for variant in told.pop("anyOf", ()) if variant != {"type": "null"}]
        merged = (
            {**told, **variants[0]} if len(variants) == 1 else {**told, **({"anyOf": variants} if variants else {})}
        )
        description = model.model_fields[name].description
        yield {
            "name": name,
            "in": place,
            "required": place == "path" or name in required,
            "schema": merged,
            **({"description": description} if description else {}),
        }
