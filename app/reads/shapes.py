"""Shapes: what all queries and answers have in common; and lists page by page, where the next page begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from outbox.database import Database
from tables.errors import InnervateError

T = TypeVar("T")

#: Rows of a page when nobody asks for more or fewer.
DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500

#: What a filter is compared with; bounded, because it comes from outside.
Term = Annotated[str, Field(min_length=1, max_length=1024)]


def digits(lowest: int, highest: int) -> BeforeValidator:
    """Takes a whole number between these two, and of texts nothing but its digits."""

    def refuse(given: object) -> object:
        text = given if isinstance(given, str) else str(given)
        is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(highest))
        if not is_number or not lowest <= int(text) <= highest:
            raise ValueError(f"expected a number from {lowest} to {highest}")
        return given

    return BeforeValidator(refuse)


def _uuid(given: object) -> object:
    try:
        return UUID(given) if isinstance(given, str) else given
    except ValueError:
        raise ValueError("expected a UUID") from None


#: Names a row.
RowId = Annotated[UUID, BeforeValidator(_uuid)]


class NotFound(InnervateError):
    """What was asked for is not there."""


class Shape(BaseModel):
    """What is answered: its fields and their types are a promise, described by the OpenAPI document."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class NotKept(Shape):
    """Contents that are no longer kept."""

    since: AwareDatetime | None
    """When they were dropped, or one of their time was; null where nobody knows."""
    keep_days: int | None
    """How long contents were kept then."""

    @property
    def sentence(self) -> str:
        """What is said in their place."""
        since = "" if self.since is None else f" since {self.since.astimezone(UTC):%Y-%m-%d}"
        by = "" if self.keep_days is None else f", by retention of {self.keep_days} days"
        return f"Content no longer kept{since}{by}."


class Query(BaseModel):
    """What is asked. Raises pydantic's `ValidationError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


class PageQuery(Query):
    """A page of a list: the newest rows, or those after `before`."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), digits(1, MAX_LIMIT)] = DEFAULT_LIMIT
    """Rows of the page at most."""


class TimeQuery(PageQuery):
    """A page of what happened in a span of time."""

    since: AwareDatetime | None = None
    """From this instant on."""
    until: AwareDatetime | None = None
    """Before this instant."""


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
    """The query as parameters of a statement: one more row than a page has, ids and instants as texts."""
    parameters = {**query.model_dump(mode="json"), **more}
    if "limit" in parameters:
        parameters["limit"] += 1
    return parameters
