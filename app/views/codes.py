"""Codes: by which code the agents decided."""

from __future__ import annotations

from collections.abc import Sequence

from app.reads.codes import CodeId, CodesPage, CodesQuery, CodeVersion, code, codes
from app.reads.shapes import Query
from app.views.endpoints import Asked, Endpoint
from app.worker.application import Innervate


class CodePlace(Query):
    """A code version."""

    code_id: CodeId


def code_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What is in the table of code versions."""
    database = app.runtime.database

    async def list_codes(asked: Asked) -> CodesPage:
        return await codes(database, asked.query)

    async def show_code(asked: Asked) -> CodeVersion:
        return await code(database, asked.place.code_id)

    return [
        Endpoint(
            path="/code-versions",
            answer=list_codes,
            query=CodesQuery,
            summary="The code that agents decided by, with the first and the last decision by each.",
            answers=CodesPage,
        ),
        Endpoint(
            path="/code-versions/{code_id}",
            place=CodePlace,
            answer=show_code,
            summary="What one code is made of: its modules, the settings it ran with, and what changed to it.",
            answers=CodeVersion,
        ),
    ]
