"""Command that starts a worker, Faust's own `worker`: without its banner where every line is to be a JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from faust.cli.worker import worker as faust_worker
from mode import Worker

if TYPE_CHECKING:
    from app.worker.application import Innervate


class worker(faust_worker):  # noqa: N801 - Faust makes the command's name of it, and replaces its own
    """Start worker instance for given app."""

    def on_worker_created(self, worker: Worker) -> None:
        """Print the banner to whoever reads it."""
        if cast("Innervate", self.app).settings.log_format == "console":
            super().on_worker_created(worker)
