"""A domain that is not the shop, installed as a package of its own, alone and beside the shop: all of it works.

One story is told to real workers: builds that fail, a test that asks for a quarantine, errors of a service that a
repository's builds explain and others that a deployment explains, a copy, and a record that nobody can process.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from builds import PASSED, Build
from facts import Fact, Record, send
from observe import eventually, get, read, rows
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from stages import Stage

from app.timemachine.replaying import replay_file

pytestmark = pytest.mark.parametrize("stage_of_the_session", ["ci", "both"], indirect=True)

#: The repository whose test is flaky, the one whose test is worse, and three of which no build is known.
WEB, WORSE, OTHERS = "own-web", "own-worse", ("own-a", "own-b", "own-c")


@dataclass(frozen=True)
class OfAService(Fact):
    """What happens to the service that rolls builds out."""

    topic: ClassVar[str] = "platform"

    kind: str = "ErrorOccurred"

    def usual(self) -> dict[str, Any]:
        if self.kind == "ServiceDeployed":
            return {"service": "deployer", "version": "2.0"}
        failed = {"service": "deployer", "step": "roll out", "error": "Timeout", "message": "no answer"}
        return {**failed, "repository_id": self.entity_id}

    def key(self) -> str:
        return self.entity_id


def failed(number: int, commit: str = PASSED) -> Build:
    return Build(f"own-failed-{number}", WEB, number, data={"commit": commit})


BUILDS = (Build("own-passed", WEB, 0, "BuildPassed"), failed(1, "c1"), failed(2), failed(3), failed(4))
#: Quarantined at once at the sixth time, while a person is still asked since the third.
WORST = (
    Build("own-worse-passed", WORSE, 0, "BuildPassed"),
    *(Build(f"own-worse-{number}", WORSE, number, data={"commit": PASSED}) for number in range(1, 7)),
)
EXPLAINED = OfAService("own-explained", WEB, 10)
DEPLOYED = OfAService("own-deployed", "deployer", 100, "ServiceDeployed")
UNEXPLAINED = tuple(OfAService(f"own-error-{number}", name, 110 + number) for number, name in enumerate(OTHERS))
FACTS: Sequence[Fact] = (*BUILDS, *WORST, EXPLAINED, DEPLOYED, *UNEXPLAINED)
#: A failed build that does not say what it built.
BAD = Record(
    json.dumps({**Build("own-bad", WEB).attributes(), "data": {"repository_id": WEB}}).encode(),
    key=b"own-bad",
    topic="builds",
)

#: What `flaky` makes of each failure.
JUDGED = {"own-failed-1": "broken", "own-failed-2": "flaky", "own-failed-3": "flaky", "own-failed-4": "quarantine"}


@pytest.fixture(scope="module")
def told(stage_of_the_session: Stage) -> Stage:
    """The stage after the story, all of it decided and published."""
    stage = stage_of_the_session
    stage.worker.start()
    copies = [BUILDS[1].structured(), BUILDS[1].binary()]
    # A partition each: what happened first is sent, and decided, first.
    for part in ((*BUILDS, *WORST), (EXPLAINED, DEPLOYED), UNEXPLAINED):
        asyncio.run(send(stage.sandbox.kafka, [fact.structured() for fact in part]))
        missing = {(agent, fact.event_id) for fact in part for agent in fact.deciders}
        eventually(lambda missing=missing: missing - decided(stage).keys(), lambda left: not left)  # type: ignore[misc]
    asyncio.run(send(stage.sandbox.kafka, [*copies, BAD]))
    eventually(lambda: rows(stage.sandbox.database_url, "SELECT 1 FROM dead_letters WHERE key = %s", b"own-bad"))
    eventually(lambda: {data["error_event_id"] for data in causes(stage)} >= {fact.event_id for fact in UNEXPLAINED})
    eventually(lambda: rows(stage.sandbox.database_url, "SELECT 1 FROM outbox_messages"), lambda left: not left)
    return stage


def decided(stage: Stage) -> Mapping[tuple[str, str], tuple[str, str]]:
    """Outcome and status, by agent and event."""
    query = "SELECT agent, event_id, outcome, status FROM decisions"
    return {(agent, event): (outcome, status) for agent, event, outcome, status in rows(stage.database_url, query)}


def published(stage: Stage, kind: str, repository: str | None = None) -> list[tuple[str, bytes, dict[str, Any]]]:
    """Topic, key and event of everything the agents said of this type, once each."""
    found = {}
    for record in read(stage.sandbox.kafka, *stage.cast.catalogue.topics):
        if record.value and b"urn:innervate:" in record.value:
            event = json.loads(record.value)
            if event["type"] == kind and repository in {None, event["data"].get("repository_id")}:
                found[event["id"]] = record.topic, record.key or b"", event
    return list(found.values())


def causes(stage: Stage) -> list[dict[str, Any]]:
    """What was told of the errors' causes."""
    return [event["data"] for _, _, event in published(stage, "RootCauseIdentified")]


def test_its_agents_decide_by_their_rules_and_hold_what_they_ask_about(told: Stage) -> None:
    found = decided(told)

    assert {event: found["flaky", event][0] for event in JUDGED} == JUDGED
    assert found["flaky", "own-failed-3"] == ("flaky", "committed")
    assert found["flaky", "own-failed-4"] == ("quarantine", "held")
    assert found["blame", EXPLAINED.event_id] == ("broken_build", "committed")
    assert [found["blame", fact.event_id][0] for fact in UNEXPLAINED] == ["handed_over"] * 3


def test_nothing_is_lost_or_doubled_and_every_history_is_exact(told: Stage) -> None:
    assert_nothing_lost_or_doubled(told.sandbox, FACTS, topics=told.cast.catalogue.topics, repeats_allowed=True)
    assert_histories_are_exact(told.sandbox, FACTS)
    query = "SELECT plain_history(history)->'offsets' FROM decisions WHERE agent = 'flaky' AND event_id = %s"
    [(known,)] = rows(told.database_url, query, "own-failed-4")
    assert len(known) == 4


def test_topic_key_and_subject_of_what_it_says_follow_from_its_declarations(told: Stage) -> None:
    for kind, topic, times in (("FailureJudged", "builds", 3), ("FlakyTestFound", "builds", 2)):
        found = published(told, kind, WEB)
        assert [(where, key, event["subject"]) for where, key, event in found] == [(topic, WEB.encode(), WEB)] * times
    [(topic, key, event)] = published(told, "RootCauseIdentified", WEB)
    assert (topic, key, event["subject"], event["causationid"]) == ("recovery", WEB.encode(), WEB, "own-explained")
    assert event["data"]["culprit_event_id"] == "own-failed-4"


def test_the_platforms_agent_blames_the_deployment_for_what_no_repository_explains(told: Stage) -> None:
    found = {data["repository_id"]: data for data in causes(told) if data["repository_id"] in OTHERS}

    assert sorted(found) == sorted(OTHERS)
    assert {(data["culprit_event_id"], data["failure"]) for data in found.values()} == {
        (DEPLOYED.event_id, "bad_deployment")
    }


def test_timelines_and_topics_are_there_with_the_partitions_of_all_others(told: Stage) -> None:
    timelines = [f"timeline-{entity}" for entity in told.cast.catalogue.entities]
    assert "timeline-repository" in timelines
    placed = {record.topic for record in read(told.sandbox.kafka, *told.cast.catalogue.topics, *timelines)}

    assert {"builds", "platform", "recovery", "timeline-repository", "timeline-service"} <= placed


def test_its_table_is_there_and_its_schema_version_stands_in_the_database(told: Stage) -> None:
    assert rows(told.database_url, "SELECT count(*) FROM quarantines WHERE repository_id = 'none'") == [(0,)]
    versions = rows(told.database_url, "SELECT domain, number FROM domain_migrations WHERE domain = 'ci'")
    assert versions == [("ci", 1)]


def test_what_it_cannot_read_is_a_dead_letter_that_names_the_fields(told: Stage) -> None:
    query = "SELECT reason, detail, topic, consumer FROM dead_letters WHERE key = %s"
    [(reason, detail, topic, consumer)] = rows(told.database_url, query, b"own-bad")

    assert (reason, topic, consumer) == ("invalid_data", "builds", "router")
    assert detail.startswith("BuildFailed data.build_id: field required; data.commit: field required")


def test_the_views_show_it(told: Stage) -> None:
    url = told.worker.url
    _, agents = get(url, "/agents")
    _, window = get(url, f"/agents/flaky/windows/{WEB}")
    _, decisions = get(url, f"/decisions?entity=repository&entity_id={WEB}&agent=flaky")
    _, timeline = get(url, f"/timelines/repository/{WEB}")
    status, unknown = get(url, "/timelines/planet/mars")

    assert {agent["name"] for agent in agents["agents"]} == set(told.cast.catalogue.agents)
    [flaky] = [agent for agent in agents["agents"] if agent["name"] == "flaky"]
    assert (flaky["entity"], flaky["timeline"]) == ("repository", "timeline-repository")
    assert [entry["event"]["id"] for entry in window["events"]] == [fact.event_id for fact in BUILDS]
    assert {row["event_id"]: row["outcome"] for row in decisions["decisions"]} == JUDGED
    seen = {event["event"]["id"] for event in timeline["events"]}
    assert {fact.event_id for fact in (*BUILDS, EXPLAINED)} <= seen
    assert (status, "repository" in unknown["detail"]) == (404, True)


def test_the_commands_show_it(told: Stage) -> None:
    query = "SELECT id::text FROM decisions WHERE agent = 'flaky' AND event_id = 'own-failed-3'"
    [(decision,)] = rows(told.database_url, query)
    agents, window, knew = told.faust("agents"), told.faust("window", "repository", WEB), told.faust("knew", decision)

    assert "| @flaky" in agents.stdout, agents.stderr
    assert "timeline-repository" in agents.stdout
    assert "own-failed-4" in window.stdout, window.stderr
    assert "equal to the recorded history (sha256 matches)" in knew.stdout, knew.stderr


def test_the_document_of_all_topics_has_its_own(told: Stage) -> None:
    run = told.faust("asyncapi")

    assert run.returncode == 0, run.stderr
    channels = json.loads(run.stdout)["channels"]
    assert {"BuildPassed", "BuildFailed", "FailureJudged"} <= channels["builds"]["messages"].keys()
    assert {*told.cast.catalogue.topics, "timeline-repository", "timeline-service"} <= channels.keys()


def test_everything_is_decided_again_from_the_log_as_it_was(told: Stage, tmp_path: Path) -> None:
    run = told.faust("replay", "--json", str(tmp_path / "report.json"))

    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (report["same"], report["differences"]) == (True, [])
    assert {"flaky", "blame", "incident"} <= report["agents"].keys()


def test_a_slice_of_it_is_recorded_and_decided_again_without_kafka(told: Stage, tmp_path: Path) -> None:
    run = told.faust("record", "--out", str(tmp_path / "slice.jsonl"), "--entity", "repository", WEB)
    assert run.returncode == 0, run.stderr

    result = replay_file(Path(run.stdout.rsplit(": ", 1)[0].strip()), told.cast.catalogue)

    assert result.is_same, result.explain()
    assert {(each.agent, each.event_id) for each in result.same} >= {("flaky", event) for event in JUDGED}


def test_a_person_approves_what_is_held_and_it_is_written_and_told(told: Stage) -> None:
    _, body = get(told.worker.url, "/approvals")
    [waiting] = [one for one in body["approvals"] if one["entity_id"] == WEB]
    assert (waiting["agent"], waiting["hold_reason"]) == ("flaky", "quarantine")
    assert rows(told.database_url, "SELECT 1 FROM quarantines WHERE repository_id = %s", WEB) == []
    assert published(told, "RepositoryQuarantined", WEB) == []
    shown = told.faust("approval", waiting["id"])
    assert (shown.returncode, '"test": "test_pay"' in shown.stdout) == (0, True), shown.stdout + shown.stderr

    approved = told.faust("approve", waiting["id"], "--sha256", waiting["content_sha256"], "--by", "ada")

    assert (approved.returncode, approved.stdout) == (0, "approved by ada\n"), approved.stderr
    [(topic, key, event)] = eventually(lambda: published(told, "RepositoryQuarantined", WEB))
    assert (topic, key, event["subject"]) == ("builds", WEB.encode(), WEB)
    row = "SELECT quarantine_id::text, decision_id::text, test FROM quarantines WHERE repository_id = %s"
    assert rows(told.database_url, row, WEB) == [(event["data"]["quarantine_id"], waiting["id"], "test_pay")]
    assert decided(told)["flaky", "own-failed-4"] == ("quarantine", "committed")


def test_what_it_does_without_asking_is_written_and_told_with_its_decision(told: Stage) -> None:
    assert decided(told)["flaky", "own-worse-6"] == ("quarantine", "committed")
    [(topic, key, event)] = published(told, "RepositoryQuarantined", WORSE)
    assert (topic, key, event["subject"], event["causationid"]) == ("builds", WORSE.encode(), WORSE, "own-worse-6")
    row = "SELECT quarantine_id::text, event_id FROM quarantines JOIN decisions ON id = decision_id"
    found = rows(told.database_url, f"{row} WHERE repository_id = %s", WORSE)
    assert found == [(event["data"]["quarantine_id"], "own-worse-6")]


def test_what_its_table_refuses_cannot_be_approved_and_can_be_rejected(told: Stage) -> None:
    """Asked at the third time, done at the sixth: there is a quarantine."""
    _, body = get(told.worker.url, "/approvals")
    [waiting] = [one for one in body["approvals"] if one["entity_id"] == WORSE]
    answer = ["--sha256", waiting["content_sha256"], "--by", "ada"]

    refused, still = told.faust("approve", waiting["id"], *answer), decided(told)["flaky", "own-worse-3"]
    rejected = told.faust("reject", waiting["id"], *answer)

    assert (refused.returncode, still) == (1, ("quarantine", "held")), refused.stdout + refused.stderr
    assert "quarantines_pkey" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (rejected.returncode, rejected.stdout) == (0, "rejected by ada\n"), rejected.stderr
    [(topic, key, event)] = eventually(lambda: published(told, "EscalationRequested", WORSE))
    assert (topic, key, event["data"]["failure"]) == ("recovery", WORSE.encode(), "flaky_test")
