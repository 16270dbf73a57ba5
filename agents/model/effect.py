"""Effects: state changes an agent asks for, as values. They happen with the decision or not at all.

    class Quarantine(Effect):
        repository_id: Id

        def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:
            return [("INSERT INTO quarantined (repository_id, decision_id) VALUES (%(id)s, %(by)s)",
                     {"id": self.repository_id, "by": str(decision_id)})]

An effect says how it is written, which events tell of it, how it is kept while a person is asked, and how it is shown
to that person. What it does is SQL in the transaction of the decision: it never has a connection.
"""

from __future__ import annotations

import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import orjson

from agents.model.event import Data, DomainEvent
from outbox.records import Statement

__all__ = ["Effect", "Statement"]


class Effect(Data, ABC):
    """A state change. Its fields must have a JSON form, or its domain is refused at the start.

    `kind` names it in what is kept, and must stay the same for as long as a decision may be held: the class's name in
    lower case with underscores, unless it is given (`class Quarantine(Effect, kind="quarantine")`).
    """

    kind: ClassVar[str] = ""

    def __init_subclass__(cls, *, kind: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = kind or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Pydantic hands it what `__init_subclass__` has taken already."""

    @abstractmethod
    def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:
        """SQL with `%(name)s` parameters, to run in this order in the decision's transaction, within 2 s.

        What fails and will fail again (values, wrong SQL, COMMIT, this method raising) refuses the whole decision. What
        may succeed later (a table, a privilege, a lock or time is missing) waits, and with it this decision alone.
        """

    def events(self) -> Sequence[DomainEvent]:
        """What tells of it: published with the decision, in this order, before what the decision emits."""
        return ()

    @property
    def moves_minor(self) -> int:
        """The money it moves, in minor units: what a limit on what goes without a person is compared with."""
        return 0

    def kept(self) -> Mapping[str, Any]:
        """Its fields as JSON: what an approval is given to, and is made of the effect again by `restored`."""
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> Self:
        """The effect that `kept` was made of. Raises ValueError when it is none."""
        return cls.model_validate_json(orjson.dumps(dict(kept)))

    def shown(self) -> Mapping[str, Any]:
        """What a person is shown who is to approve it, as JSON."""
        return self.kept()
