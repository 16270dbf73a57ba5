"""Views: what a worker knows, as JSON over HTTP, and what operators may do there.

A view is a function of the parts it needs and of what was asked; here each gets its path and its parts.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.views.agents import agent_endpoints
from app.views.approvals import approval_endpoints
from app.views.codes import code_endpoints
from app.views.decisions import decision_endpoints
from app.views.endpoints import Endpoint, register
from app.views.expectations import expectations_endpoint
from app.views.health import health_endpoints
from app.views.listings import listing_endpoints
from app.views.metrics import metrics_endpoint
from app.views.models import model_endpoints
from app.views.openapi import openapi_endpoint
from app.views.outbox import outbox_endpoints
from app.views.stories import story_endpoints
from app.views.time_machine import time_machine_endpoints
from app.views.workers import worker_endpoints
from app.worker.application import Innervate


def endpoints(app: Innervate) -> Sequence[Endpoint]:
    """Everything the interface for programs of this worker answers, but its own description."""
    return [
        *health_endpoints(app),
        metrics_endpoint(app),
        *agent_endpoints(app),
        *decision_endpoints(app),
        *code_endpoints(app),
        expectations_endpoint(app),
        *time_machine_endpoints(app),
        *story_endpoints(app),
        *approval_endpoints(app),
        *outbox_endpoints(app),
        *model_endpoints(app),
        *listing_endpoints(app),
        *worker_endpoints(app),
    ]


def register_views(app: Innervate) -> None:
    """Add every endpoint, and their description, to Faust's web server."""
    declared = endpoints(app)
    for endpoint in [*declared, openapi_endpoint(declared)]:
        register(app, endpoint)
