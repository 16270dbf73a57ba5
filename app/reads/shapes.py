"""Shapes: what all queries and answers have in common; and lists page by page, where the next page begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeVar

from pydantic import UUID4, UUID5, AwareDatetime, BaseModel, ConfigDict, Field

from outbox.database import Database
from tables.errors import InnervateError

T = TypeVar("T")

#: Rows of a page when nobody asks for more or fewer.
DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500

#: What a filter is compared with; bounded, because it comes from outside.
Term = Annotated[str, Field(min_length=1, max_length=1024)]
#: Ids of ours are of these kinds.
RowId = UUID5 | UUID4


class NotFound(InnervateError):
    """What was asked for is not there."""


class Shape(BaseModel):
    """What is answered: its fields and their types are a promise, described by the OpenAPI document."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Query(BaseModel):
    """What is asked. Raises pydantic's `ValidationError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PageQuery(Query):
    """A page of a list: the newest rows, or those after `before`."""

    #: Rows of the page at most.
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, strict=False)] = DEFAULT_LIMIT


class TimeQuery(PageQuery):
    """A page of what happened in a span of time."""

    #: From this instant on.
    since: AwareDatetime | None = None
    #: Before this instant.
    until: AwareDatetime | None = None


def cut(rows: Sequence[T], limit: int, place: Callable[[T], Any]) -> tuple[Sequence[T], Any]:
    """The rows of a page, of which one more than fit were asked for, and what to give as `before` for the next one.

    None at the end, which is known because the one more was not there.
    """
    shown = rows[:limit]
    return shown, place(shown[-1]) if len(rows) > limit else None


async def require_known(database: Database, statement: str, parameters: Mapping[str, Any], what: str) -> None:
    """Raise `NotFound` unless the statement finds the last row of the page before; None is the first page."""
    [place] = parameters.values()
    if place is not None and not await database.run(statement, parameters):
        raise NotFound(f"no {what} {place}")


def asked(query: Query, **more: Any) -> dict[str, Any]:
    """The query as parameters of a statement: one more row than a page has, ids and instants as PostgreSQL takes them."""
    parameters = {**query.model_dump(mode="json"), **more}
    if "limit" in parameters:
        parameters["limit"] += 1
    return parameters
