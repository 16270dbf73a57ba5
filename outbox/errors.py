"""What can go wrong between a decision and its publication.

OutboxError
├── Transient                try again; nothing was lost
│   └── DatabaseUnavailable  the outcome of the statement may be unknown: ask again, never assume
│       ├── DatabaseReadOnly it answers and takes no writes: a standby, or made read-only
│       ├── SchemaUnusable   it answers; a table, column or privilege that is needed is not there
│       ├── RowsLocked       somebody else kept what is needed locked for too long
│       └── OldWorkersRemain not before the workers of the version before are gone
└── Permanent                will fail again: dead letter, then go on
    ├── StatementRejected    PostgreSQL refused the rows themselves
    └── Echo                 the decision is written as refused: its chain went too far
"""

from __future__ import annotations


class OutboxError(Exception):
    """The outbox could not do what it was asked."""


class Transient(OutboxError):
    """Try again."""


class DatabaseUnavailable(Transient):
    """PostgreSQL did not answer; whether the statement was committed is unknown."""


class DatabaseReadOnly(DatabaseUnavailable):
    """PostgreSQL answers and takes no writes."""


class SchemaUnusable(DatabaseUnavailable):
    """PostgreSQL answers, but a table, a column or a privilege that is needed is not there."""


class RowsLocked(DatabaseUnavailable):
    """Somebody else kept what the statement needs locked for too long; nothing was written."""


class OldWorkersRemain(DatabaseUnavailable):
    """Another source used this event id, and a worker that cannot tell the two apart is still alive."""


class Permanent(OutboxError):
    """Trying again cannot help."""


class StatementRejected(Permanent):
    """PostgreSQL refused the statement because of the values in it."""


class Echo(Permanent):
    """The chain or the story of an event went as far as it may; the decision on it is written, as refused."""

    def __init__(self, correlation_id: str, message: str) -> None:
        super().__init__(message)
        #: The story.
        self.correlation_id = correlation_id
