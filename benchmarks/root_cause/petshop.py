"""PetShop: the training issues of a public benchmark, as events; `petshop/README.md` has the source and the licence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

_FOLDER: Final = Path(__file__).parent / "petshop"


@dataclass(frozen=True, kw_only=True, slots=True)
class Issue:
    """One issue: its events in the order they happened, and the answer."""

    name: str
    subset: str
    events: list[Mapping[str, Any]]
    alarm_id: str
    alarmed: str
    culprit: str


def issues(folder: Path = _FOLDER) -> Iterator[Issue]:
    """Every issue of a folder in the form of this one."""
    for name, truth in sorted(orjson.loads((folder / "truth.json").read_bytes()).items()):
        lines = (folder / f"{name}.jsonl").read_bytes().splitlines()
        yield Issue(
            name=name,
            subset=truth["subset"],
            events=[orjson.loads(line)["event"] for line in lines],
            alarm_id=truth["alarm"],
            alarmed=truth["alarmed_service"],
            culprit=truth["culprit_service"],
        )
