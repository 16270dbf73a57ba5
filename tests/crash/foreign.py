"""Foreign: the disk of a worker of another Kafka cluster, with windows of the same entities under the same names."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from arena import CrashWorker
from load import Load
from settling import decided
from trades import Trade
from waiting import eventually

from app.sandbox import Sandbox

#: Enough that most customers have windows there.
SALES = 300


class ForeignDisk:
    """Made when it is first asked for, because that takes a cluster."""

    def __init__(self, directory: Path, *, seed: int, name: str, trade: Trade, settings: Mapping[str, str]) -> None:
        """`name` is that of the load here, so that the entities have the same names there; so are the `settings`."""
        self._directory = directory
        self._seed = seed
        self._name = name
        self._trade = trade
        self._settings = settings

    def put_into(self, worker: CrashWorker) -> None:
        """In place of its own; the worker must not run."""
        worker.forget()
        shutil.copytree(self._tables(), worker.tables)

    def _tables(self) -> Path:
        kept = self._directory / "tables"
        if not kept.exists():
            self._make(kept)
        return kept

    def _make(self, kept: Path) -> None:
        with Sandbox(self._directory / "sandbox", "apache") as sandbox:
            worker = CrashWorker(sandbox, self._directory / "worker", self._settings)
            try:
                worker.start()
                with Load(
                    sandbox.kafka, seed=self._seed, name=self._name, trade=self._trade, per_second=200, limit=SALES
                ) as load:
                    load.wait()
                    eventually(
                        lambda: load.acknowledged.due - decided(sandbox.database_url),
                        lambda missing: not missing,
                        what="the worker of the other cluster to decide everything",
                    )
                worker.stop()
                shutil.copytree(worker.tables, kept)
            finally:
                worker.release()
