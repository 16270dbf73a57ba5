"""A loss climbs from service to service over two workers, one of which is killed: the last verdict is what happened."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby

import orjson
import pytest
from observe import eventually, read

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess
from app.simulator.services import case
from benchmarks.root_cause.playing import Happened, Played, play
from benchmarks.root_cause.questions import Story, of_case, of_petshop, prefixed
from benchmarks.root_cause.sandbox import left, said, send

PETSHOP_ISSUE = "high_traffic-train-issue_4"
#: A deployment deep behind two alarms, rolled back later; of its events nothing is missing.
DEPLOYMENT_SEED = 4


@pytest.fixture(scope="module")
def second(
    sandbox: Sandbox, first_worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    """A second worker beside the one of the session."""
    first_worker.start()
    process = WorkerProcess(sandbox, tmp_path_factory.mktemp("worker") / "second")
    try:
        process.start()
        yield process
    finally:
        process.release()


def told_in_steps(sandbox: Sandbox, story: Story, killed: WorkerProcess, prefix: str) -> Played:
    """Tell the story as it happens: what is told in one minute at once, and the next when the agents are at rest.

    An alarm comes after what monitors tell in the same minute. One worker is killed while that is on its way.
    """
    alarms = {question.alarm_id for question in story.questions}
    steps = [
        (is_alarm, list(step))
        for (_, is_alarm), step in groupby(story.events, key=lambda event: (event["time"][:16], event["id"] in alarms))
    ]
    first_alarm = [is_alarm for is_alarm, _ in steps].index(True)
    sent: list[Happened] = []
    for number, (_, step) in enumerate(steps):
        asyncio.run(send(sandbox.kafka, step))
        sent += step
        if number == first_alarm - 1:
            killed.send(signal.SIGKILL)
        eventually(partial(left, sandbox.database_url, sent, prefix), lambda count: count == 0)
    return Played.of(said(sandbox.database_url, prefix))


def published(sandbox: Sandbox, prefix: str) -> Sequence[Happened]:
    """What Kafka has of the findings about these services, each once, in the order of its first copy."""
    found: dict[str, Happened] = {}
    for record in read(sandbox.kafka, "recovery", "platform"):
        event = orjson.loads(record.value or b"null")
        if isinstance(event, dict) and str((event.get("data") or {}).get("service") or "").startswith(prefix):
            found.setdefault(event["id"], event)
    return list(found.values())


def of_type(events: Sequence[Happened], event_type: str) -> Sequence[Mapping[str, object]]:
    return [event["data"] for event in events if event["type"] == event_type]


def test_an_issue_of_petshop_has_the_same_verdict_when_a_worker_is_killed(
    sandbox: Sandbox, worker: WorkerProcess, second: WorkerProcess
) -> None:
    prefix = "petshop-live/"
    story = prefixed(next(issue for issue in of_petshop() if issue.name == PETSHOP_ISSUE), prefix)
    [question] = story.questions

    played = told_in_steps(sandbox, story, worker, prefix)

    assert played.named(question.alarm_id)[0] == question.culprit
    assert played.named(question.alarm_id)[:3] == play(story.events).named(question.alarm_id)[:3]
    seen = published(sandbox, prefix)
    assert of_type(seen, "RootCauseIdentified")[-1]["culprit_service"] == question.culprit
    assert [each["service"] for each in of_type(seen, "EscalationRequested")] == [question.culprit]


def test_a_deployment_behind_a_cascade_is_one_incident_and_over_with_its_rollback_when_a_worker_is_killed(
    sandbox: Sandbox, worker: WorkerProcess, second: WorkerProcess
) -> None:
    prefix = "graph-live/"
    told = case(DEPLOYMENT_SEED, "cascade")
    story = prefixed(of_case("live", told), prefix)
    [ended] = told.ended
    culprit = prefix + ended.service

    played = told_in_steps(sandbox, story, worker, prefix)

    for question in story.questions:
        assert played.named(question.alarm_id)[0] == question.culprit == culprit
        assert played.verdicts[question.alarm_id]["culprit_event_id"] == question.change_id
    seen = published(sandbox, prefix)
    assert [each["service"] for each in of_type(seen, "EscalationRequested")] == [culprit]
    [resolved] = of_type(seen, "IncidentResolved")
    assert (resolved["service"], resolved["stopped_by"]) == (culprit, prefix + str(ended.stopped_by))
