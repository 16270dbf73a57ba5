"""Measure: a number of a domain's own, added up from what its effects have done; operators watch it.

    Measure(name="quarantined", help="Repositories that were quarantined.", effect=Quarantine, labels=("reason",))

It becomes the counter `innervate_<domain>_<name>_total`, or `innervate_<domain>_<name>_<unit>_total`, of every worker.
An effect counts when its decision was committed or approved, once, by the worker that did it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.model.effect import Effect
from tables.errors import Fatal

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Labels that Prometheus and Innervate give themselves.
_TAKEN: Final = frozenset({"job", "instance", "le", "quantile"})


class MeasureInvalid(Fatal):
    """A measure names what its effect does not have; the message is one line that says what."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A counter over effects of one kind. Raises `MeasureInvalid`."""

    #: Lower-case letters, digits and _.
    name: str
    #: One sentence.
    help: str
    effect: type[Effect]
    #: Fields of the effect that the number is told apart by: few values each, and never an id. Beyond 1,000 different
    #: ones are counted together, as `other`.
    labels: Sequence[str] = ()
    #: The field that is added up, a whole number of at least 0; None counts effects.
    adds: str | None = None
    #: What that field is counted in: `minor`, `bytes`, `seconds`; ends the name.
    unit: str = ""

    def __post_init__(self) -> None:
        where = f"measure {self.name!r}"
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or self.name.endswith("_total"):
            raise MeasureInvalid(f"{where}: a name is lower-case letters, digits and _, at most 40, without _total")
        if not isinstance(self.effect, type) or not issubclass(self.effect, Effect):
            raise MeasureInvalid(f"{where}: effect must be a class of Effect")
        if isinstance(self.labels, str):
            raise MeasureInvalid(f"{where}: labels must be a sequence of fields")
        object.__setattr__(self, "labels", tuple(self.labels))
        if self.unit and not _NAME.fullmatch(self.unit):
            raise MeasureInvalid(f"{where}: the unit {self.unit!r} cannot end a name")
        fields = self.effect.model_fields
        for name in (*self.labels, *([] if self.adds is None else [self.adds])):
            if name not in fields:
                raise MeasureInvalid(f"{where}: {self.effect.__name__} has no field {name}")
        if ids := [name for name in self.labels if name == "id" or name.endswith(("_id", "_ids"))]:
            raise MeasureInvalid(f"{where}: {ids[0]} is an id: it would make a series of each")
        if taken := _TAKEN.intersection(self.labels):
            raise MeasureInvalid(f"{where}: Prometheus uses the label {min(taken)} itself")
        if self.adds is not None and fields[self.adds].annotation is not int:
            raise MeasureInvalid(f"{where}: {self.adds} is no whole number")

    def of(self, effect: Effect) -> tuple[tuple[str, ...], int]:
        """The words and the amount that an effect counts with; what is below 0 counts as 0."""
        amount: Any = 1 if self.adds is None else getattr(effect, self.adds)
        return tuple(str(getattr(effect, name)) for name in self.labels), max(int(amount), 0)
