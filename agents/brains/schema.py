"""Strict JSON schema: what a model is told about the object it must write, from the pydantic model that judges it.

Servers differ in the keywords they accept in strict mode, so only those that all of them accept are kept; bounds go
into the description, where the model at least reads them. Pure. Fails with ValueError when a pydantic model cannot be
said strictly (free-form objects, tuples of several types, values of any type): that is a mistake in the code.
See OpenAI, "Structured model outputs", section "Supported schemas".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

#: How a bound is said to the model.
_BOUNDS: Final[Mapping[str, str]] = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "must match {}",
    "format": "format {}",
}
#: Say nothing that must be obeyed.
_SILENT: Final = frozenset({"title", "default", "examples", "deprecated", "discriminator"})
_KNOWN: Final = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "oneOf", "$ref"}
    | {"$defs", "description"}
)

_Node = Mapping[str, Any]


def strict_schema(model: type[BaseModel]) -> Mapping[str, Any]:
    """Build the schema of `model`: every field required, no others allowed. `title` is the name of the class."""
    raw = model.model_json_schema()
    if raw.get("type") != "object":
        raise ValueError(f"{model.__name__}: the outermost schema must be a plain object")
    schema = {"title": model.__name__} | _strict(raw, model.__name__)
    if definitions := raw.get("$defs"):
        schema["$defs"] = {name: _strict(node, name) for name, node in definitions.items()}
    return schema


def _strict(node: _Node, where: str) -> dict[str, Any]:
    if "$ref" in node:
        return {"$ref": node["$ref"]}  # nothing may stand beside it
    unknown = node.keys() - _KNOWN - _SILENT - _BOUNDS.keys()
    if unknown:
        raise ValueError(f"{where}: {', '.join(sorted(unknown))} cannot be said in a strict schema")
    strict = _choices(node, where) or _typed(node, where)
    if description := _description(node):
        strict["description"] = description
    return strict


def _choices(node: _Node, where: str) -> dict[str, Any]:
    for keyword in ("anyOf", "oneOf"):
        if keyword in node:
            return {"anyOf": [_strict(each, where) for each in node[keyword]]}
    return {}


def _typed(node: _Node, where: str) -> dict[str, Any]:
    kind = node.get("type")
    if kind is None:
        raise ValueError(f"{where}: a value of any type cannot be said in a strict schema")
    strict: dict[str, Any] = {"type": kind}
    if kind == "object":
        strict |= _object(node, where)
    elif kind == "array":
        strict["items"] = _strict(node.get("items", {}), f"{where}[]")
    elif "const" in node:
        strict["enum"] = [node["const"]]
    elif "enum" in node:
        strict["enum"] = list(node["enum"])
    return strict


def _object(node: _Node, where: str) -> dict[str, Any]:
    if node.get("additionalProperties") or "properties" not in node:
        raise ValueError(f"{where}: a free-form object cannot be said in a strict schema")
    fields = {name: _strict(each, f"{where}.{name}") for name, each in node["properties"].items()}
    return {"properties": fields, "required": list(fields), "additionalProperties": False}


def _description(node: _Node) -> str:
    bounds = [said.format(node[keyword]) for keyword, said in _BOUNDS.items() if keyword in node]
    return "; ".join(filter(None, (node.get("description"), ", ".join(bounds))))
