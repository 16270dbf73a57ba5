"""What can go wrong between a decision and its publication.

OutboxError
├── Transient                try again; nothing was lost
│   └── DatabaseUnavailable  the outcome of the statement may be unknown: ask again, never assume
└── Permanent                will fail again: dead letter, then go on
    └── StatementRejected    PostgreSQL refused the rows themselves
"""

from __future__ import annotations


class OutboxError(Exception):
    """The outbox could not do what it was asked."""


class Transient(OutboxError):
    """Try again."""


class DatabaseUnavailable(Transient):
    """PostgreSQL did not answer; whether the statement was committed is unknown."""


class Permanent(OutboxError):
    """Trying again cannot help."""


class StatementRejected(Permanent):
    """PostgreSQL refused the statement because of the values in it."""
