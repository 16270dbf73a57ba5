"""An inquest finds what a stalled run is explained by: it is held on a worker that runs, and one that does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from arena import Arena
from inquest import hold_inquest, keep_logs
from waiting import eventually


@pytest.mark.apache
def test_an_inquest_holds_what_everybody_does_and_ends_where_somebody_is_gone(
    make_arena: Callable[[int], Arena], tmp_path: Path
) -> None:
    arena = make_arena(2)
    arena.start(0)
    eventually(lambda: arena.ready(0), what="the worker to become ready")

    kept = tmp_path / "kept"
    hold_inquest(arena, kept)
    found = {path.name: path.read_text(errors="replace") for path in kept.iterdir()}

    assert found["worker-0.ready"].startswith("200 ")
    assert "does not run" in found["worker-1.ready"]
    assert "task router\n" in found["worker-0.log"]
    assert "intake.py" in found["worker-0.log"].partition("task router\n")[2].partition("\ntask ")[0]
    assert "--- end of the tasks" in found["worker-0.log"]
    assert "payments[0] stable 0 end 0" in found["kafka"]
    assert "innervate-router" in found["kafka"]
    assert "could not be asked" not in found["kafka"]
    assert "lanes:\n  0 | " in found["postgresql"]
    assert "could not be asked" not in found["postgresql"]
    assert "started" in found["apache-kafka.log"]


def test_logs_of_workers_and_services_are_kept_and_data_of_that_name_is_not(tmp_path: Path) -> None:
    for path in ("worker-0.log", "sandbox/run-1/kafka/log", "sandbox/run-1/kafka/data/orders-0/0000.log"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)

    keep_logs(tmp_path, tmp_path / "kept")

    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"worker-0.log", "sandbox-run-1-kafka-log"}
