"""Expectations: what agents await, and what did not happen in time."""

from __future__ import annotations

from app.reads.expectations import ExpectationsPage, ExpectationsQuery, expectations
from app.views.endpoints import Asked, Endpoint
from app.worker.application import Innervate


def expectations_endpoint(app: Innervate) -> Endpoint:
    """What is in the table of expectations."""
    database = app.runtime.database

    async def list_expectations(asked: Asked) -> ExpectationsPage:
        return await expectations(database, asked.query)

    return Endpoint(
        path="/expectations",
        answer=list_expectations,
        query=ExpectationsQuery,
        summary="What agents await, and what did not happen in time, those due last at the beginning.",
        answers=ExpectationsPage,
    )
