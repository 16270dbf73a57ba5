"""Listings: the rows that loaded domains show of their own tables, such as the refunds of the shop."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from agents.model.listing import Listing
from app.reads.listings import ReadListing, listed, read_listing
from app.views.endpoints import Asked, Endpoint
from app.worker.application import Innervate


def listing_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """One list for each listing of a loaded domain."""
    return [_endpoint(app, read_listing(listing)) for listing in app.settings.catalogue.listings.values()]


def path_of(listing: Listing) -> str:
    """Where a listing is answered."""
    return f"/{listing.name.replace('_', '-')}"


def _endpoint(app: Innervate, read: ReadListing) -> Endpoint:
    async def list_rows(asked: Asked) -> BaseModel:
        return await listed(app.runtime.database, read, asked.query)

    return Endpoint(
        path=path_of(read.listing),
        answer=list_rows,
        query=read.query,
        summary=f"{read.listing.title}, the newest first.",
        answers=read.page,
    )
