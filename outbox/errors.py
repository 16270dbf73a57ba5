"""What can go wrong between a decision and its publication; drawn in `tables.errors`.

The rest of the outbox takes the root and its branches from here: this is its only module that imports from `tables`.
"""

from __future__ import annotations

from tables.errors import Fatal, InnervateError, Permanent, Transient

__all__ = [
    "DatabaseReadOnly",
    "DatabaseUnavailable",
    "Echo",
    "EffectUnavailable",
    "Fatal",
    "InnervateError",
    "OldWorkersRemain",
    "Permanent",
    "RowsLocked",
    "SchemaUnusable",
    "StatementRejected",
    "Transient",
]


class DatabaseUnavailable(Transient):
    """PostgreSQL did not answer; whether the statement was committed is unknown."""


class DatabaseReadOnly(DatabaseUnavailable):
    """PostgreSQL answers and takes no writes."""


class SchemaUnusable(DatabaseUnavailable):
    """PostgreSQL answers, but a table, a column or a privilege that is needed is not there."""


class RowsLocked(DatabaseUnavailable):
    """Somebody else kept what the statement needs locked for too long; nothing was written."""


class EffectUnavailable(DatabaseUnavailable):
    """PostgreSQL answers, but the effects of one decision took too long, or cannot be had now; nothing was written."""


class OldWorkersRemain(DatabaseUnavailable):
    """Another source used this event id, and a worker that cannot tell the two apart is still alive."""


class StatementRejected(Permanent):
    """PostgreSQL refused the statement because of the values in it."""

    reason = "decision_refused"


class Echo(Permanent):
    """The chain or the correlation of an event went as far as it may; the decision on it is written, as refused."""

    reason = "echo"

    def __init__(self, correlation_id: str, message: str) -> None:
        super().__init__(message)
        #: What all events of the chain share.
        self.correlation_id = correlation_id
