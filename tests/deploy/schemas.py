"""Schemas: one strict JSON schema for each kind of manifest, in a file of its own, as `kubeconform` reads them.

    python tests/deploy/schemas.py TO KUBERNETES CRDS...

KUBERNETES is the folder of one version's strict schemas in the wheel `kubernetes-validate`, CRDS are files with
CustomResourceDefinitions. A field that a schema does not name is wrong, where Kubernetes would drop it silently.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

#: What the chart uses of Kubernetes' own kinds.
KINDS = (
    "job-batch-v1",
    "networkpolicy-networking-v1",
    "poddisruptionbudget-policy-v1",
    "service-v1",
    "statefulset-apps-v1",
)
#: The file that all of them refer to.
DEFINITIONS = "_definitions.json"
REFERENCE = re.compile(r'"#/\$defs/([^"]+)"')


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


def kubernetes_kind(folder: Path, name: str) -> Any:
    """The schema of a kind of Kubernetes' own, with the definitions it refers to."""
    everything = json.loads((folder / DEFINITIONS).read_text(encoding="utf-8"))["$defs"]
    schema = here(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
    found: dict[str, Any] = {}
    unread = [schema]
    while unread:
        for wanted in set(REFERENCE.findall(json.dumps(unread.pop()))) - found.keys():
            found[wanted] = here(everything[wanted])
            unread.append(found[wanted])
    return {**schema, "$defs": found}


def here(schema: Any) -> Any:
    """The schema, referring to definitions of its own instead of those of another file."""
    return json.loads(json.dumps(schema).replace(f"/api/{DEFINITIONS}#", "#"))


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
    to, kubernetes, *files = map(Path, arguments)
    to.mkdir(parents=True, exist_ok=True)
    for name in KINDS:
        (to / f"{name}.json").write_text(json.dumps(kubernetes_kind(kubernetes, name)), encoding="utf-8")
    for file in files:
        for name, schema in custom_kinds(file):
            (to / name).write_text(json.dumps(schema), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
