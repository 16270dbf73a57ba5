"""Scene: services on which several points are played one after another, and what was sent and found so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from arena import Arena
from audit import audit
from evidence import Disturbance
from load import Acknowledged, Load
from proxy import Proxy
from trades import Trade
from witness import gather

from app.sandbox import Sandbox

#: Six seconds long, because a worker needs some to start.
SALES = 300


@dataclass
class Scene:
    """Every audit looks at the whole log, so it knows all that was done, and what an earlier point is to blame for."""

    sandbox: Sandbox
    proxy: Proxy
    trade: Trade
    #: What a worker is told to load the trade's domain.
    loaded: Mapping[str, str]
    fenced: bool
    sent: list[Acknowledged] = field(default_factory=list)
    disturbances: list[Disturbance] = field(default_factory=list)
    found_before: set[str] = field(default_factory=set)

    def assert_promises_kept(self, arena: Arena, load: Load) -> None:
        """Audit everything after a point at which the workers were stopped; only what is new is a finding."""
        self.disturbances += arena.troubles()
        self.sent.append(load.acknowledged)
        findings = audit(
            gather(self.sandbox.kafka, self.sandbox.database_url, self.sent, self.trade),
            self.disturbances,
            fenced=self.fenced,
        )
        broken = {name: set(found) - self.found_before for name, found in findings.broken().items()}
        new = {name: found for name, found in broken.items() if found}
        self.found_before.update(*new.values())
        assert new == {}, findings.details
        assert [one.last_words for one in arena.exits] == []


@contextmanager
def open_scene(directory: Path, trade: Trade, loaded: Mapping[str, str], *, fenced: bool) -> Iterator[Scene]:
    """Apache Kafka, and PostgreSQL behind a proxy."""
    with Sandbox(directory, "apache") as sandbox, Proxy(sandbox.postgres.port) as proxy:
        yield Scene(sandbox, proxy, trade, loaded, fenced)
