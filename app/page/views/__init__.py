"""Views of the page, in the order of the navigation. A new one is a module here, a template, and a line in `VIEWS`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.page.view import View
from app.page.views import (
    actions,
    approvals,
    dead_letters,
    decisions,
    flow,
    help_page,
    knowledge,
    listings,
    models,
    now,
    outbox,
    shadows,
    sign_in,
    stories,
    workers,
)

#: Every view of the page.
VIEWS: Final[Sequence[View]] = (
    now.VIEW,
    flow.VIEW,
    *stories.VIEWS,
    *decisions.VIEWS,
    knowledge.VIEW,
    *approvals.VIEWS,
    *outbox.VIEWS,
    *dead_letters.VIEWS,
    *models.VIEWS,
    workers.VIEW,
    *actions.VIEWS,
    shadows.VIEW,
    listings.VIEW,
    help_page.VIEW,
    *sign_in.VIEWS,
)
