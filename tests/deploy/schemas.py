"""Schemas: one strict JSON schema for each kind that a CustomResourceDefinition defines, as `kubeconform` reads them.

    python tests/deploy/schemas.py TO CRDS...

A field that a schema does not name is wrong here, where Kubernetes would drop it silently.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml


def strict(schema: Any) -> Any:
    """The schema, objects having the properties that are named and no others."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(value) for name, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    return closed


def custom_kinds(file: Path) -> Iterator[tuple[str, Any]]:
    """The names and schemas of the kinds that a file defines."""
    for defined in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        spec = defined["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            # What every kind has; Kubernetes knows it and the definition does not say.
            schema["properties"]["metadata"] = {"type": "object"}
            group = spec["group"].partition(".")[0]
            yield f"{spec['names']['singular']}-{group}-{version['name']}.json", schema


def main(arguments: Sequence[str]) -> None:
    """Write the schemas."""
    to, *files = map(Path, arguments)
    to.mkdir(parents=True, exist_ok=True)
    for file in files:
        for name, schema in custom_kinds(file):
            (to / name).write_text(json.dumps(schema), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
