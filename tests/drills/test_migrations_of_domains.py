"""The release before this one and migrations of domains that it does not have: it starts on those that only add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from previous import Release, WorkerBefore
from shop_catalogue import CATALOGUE

from app.sandbox import Sandbox
from outbox.domain_migrations import ONLY_ADDS, Migration
from outbox.migrate import migrate

#: Prints whether its worker would start on a database.
STARTS = """
from outbox.migrate import is_current
from agents.model.catalogue import Catalogue
from agents.shop.domain import shop
print(is_current({url!r}, Catalogue([shop]).migrations))
"""


def with_one_more(first_line: str) -> Mapping[str, Sequence[Migration]]:
    there = CATALOGUE.migrations["shop"]
    sql = f"{first_line}\nALTER TABLE refunds ADD COLUMN note text"
    return {"shop": [*there, Migration(number=len(there) + 1, name="later_note", sql=sql)]}


def test_a_worker_of_before_starts_where_a_domain_has_only_added(empty_database_url: str, before: Release) -> None:
    before.migrate(empty_database_url)

    migrate(empty_database_url, with_one_more(ONLY_ADDS))

    assert before.run(STARTS.format(url=empty_database_url)) == "True\n"
    before.migrate(empty_database_url)


def test_a_worker_of_before_does_not_start_where_it_would_not_understand(
    empty_database_url: str, before: Release
) -> None:
    before.migrate(empty_database_url)

    migrate(empty_database_url, with_one_more("-- Takes nothing away, and does not say so."))

    with pytest.raises(AssertionError, match="domain shop: the database has its migration later_note"):
        before.migrate(empty_database_url)


def test_a_worker_of_before_gets_no_setting_that_it_does_not_have(tmp_path: Path, before: Release) -> None:
    class LaterSandbox(Sandbox):
        def worker_environment(self) -> dict[str, str]:
            return {**super().worker_environment(), "LLM_LATER": "1"}

    worker = WorkerBefore(LaterSandbox(tmp_path / "sandbox", "apache"), tmp_path / "worker", before)

    assert "LLM_LATER" not in worker.environment()
    assert {"KAFKA_BROKER", "DATABASE_URL", "WEB_BIND"} <= worker.environment().keys()
