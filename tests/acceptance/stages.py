"""Stages: services, a worker with one or several domains loaded, and what happens in the one that is looked at.

Every promise is one of the engine, so every domain has to keep it: the tests that ask for a `stage` run for each.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import builds
import shop
from ci_catalogue import BESIDE_THE_SHOP
from ci_catalogue import CATALOGUE as CI
from facts import Fact
from shop_catalogue import CATALOGUE as SHOP
from waiting import PATIENCE_SECONDS

from agents.model.catalogue import Catalogue
from app.sandbox import Sandbox
from app.sandbox.process import clean_environment
from app.sandbox.worker_process import CHECKOUT, WorkerProcess


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Which domains are loaded, and the series of facts of one of them."""

    #: The setting `DOMAINS`.
    domains: str
    catalogue: Catalogue
    #: One of these facts: `fact(event_id, entity_id, number)`.
    fact: Callable[[str, str, int], Fact]
    #: `series(name, entities, facts)`; see `shop.series`.
    series: Callable[[str, int, int], Sequence[Fact]]
    #: The agents that decide on these facts.
    deciders: Sequence[str]


_CI = Cast(domains="myci:ci", catalogue=CI, fact=builds.Build, series=builds.series, deciders=("flaky",))

#: By the name of a test's parameter.
CASTS: Mapping[str, Cast] = MappingProxyType(
    {
        "shop": Cast(
            domains="agents.shop:shop",
            catalogue=SHOP,
            fact=shop.Payment,
            series=shop.series,
            deciders=("fraud", "confirmation", "fulfilment"),
        ),
        "ci": _CI,
        "both": replace(_CI, domains="agents.shop:shop,myci:ci", catalogue=BESIDE_THE_SHOP),
    }
)


@dataclass(frozen=True)
class Stage:
    """What a test acts on."""

    cast: Cast
    sandbox: Sandbox
    worker: WorkerProcess
    #: What its workers and commands are told on top of the sandbox's own.
    settings: Mapping[str, str]

    @property
    def database_url(self) -> str:
        """Where decisions are."""
        return self.sandbox.database_url

    def faust(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run `faust -A app …` to its end, with the same domains."""
        return subprocess.run(
            [sys.executable, "-m", "faust", "-A", "app", *arguments],
            cwd=CHECKOUT,
            env={**clean_environment(), **self.sandbox.worker_environment(), **self.settings, **settings},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
