"""Quarantine: a test that is not run any more, as an effect of a decision and a row of a table of its own."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from agents import DomainEvent, Effect, Id, Name, Statement
from myci.events import RepositoryQuarantined

#: Names the UUIDv5 of quarantines.
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:myci:quarantine")

# A second quarantine of the same test is refused by the table, and with it the decision.
_RECORD: Final = """
INSERT INTO quarantines (quarantine_id, decision_id, repository_id, test)
VALUES (%(quarantine_id)s, %(decision_id)s, %(repository_id)s, %(test)s)
"""


class Quarantine(Effect):
    """A test of a repository is not run any more; one for each test, whoever asks and however often."""

    repository_id: Id
    test: Name

    @property
    def quarantine_id(self) -> str:
        """The id of the one quarantine of the test."""
        return str(uuid.uuid5(_NAMESPACE, f"{len(self.repository_id)}:{self.repository_id}{self.test}"))

    def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:
        """One row."""
        named = {"quarantine_id": self.quarantine_id, "decision_id": str(decision_id)}
        return [(_RECORD, {**named, "repository_id": self.repository_id, "test": self.test})]

    def events(self) -> Sequence[DomainEvent]:
        """`RepositoryQuarantined`."""
        told = RepositoryQuarantined(repository_id=self.repository_id, quarantine_id=self.quarantine_id, test=self.test)
        return (told,)
