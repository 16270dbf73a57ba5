"""Web views: what a worker knows, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.views.agents import register_agent_views
from app.views.approvals import register_approval_views
from app.views.decisions import register_decision_views
from app.views.health import register_health_views
from app.views.outbox import register_outbox_views
from app.views.repair import register_repair_views
from app.views.shadows import register_shadow_views
from app.views.time_machine import register_time_machine_views

if TYPE_CHECKING:
    from app.worker.application import Innervate


def register_views(app: Innervate) -> None:
    """Add every page to Faust's web server."""
    register_health_views(app)
    register_agent_views(app)
    register_decision_views(app)
    register_approval_views(app)
    register_time_machine_views(app)
    register_outbox_views(app)
    register_repair_views(app)
    register_shadow_views(app)
