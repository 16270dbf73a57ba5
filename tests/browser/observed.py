"""What a test sees past the page: PostgreSQL's rows."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg2


def rows(database_url: str, query: str, parameters: object = None) -> list[tuple[Any, ...]]:
    """The rows of one statement."""
    with contextlib.closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []
