"""Settings: a wrong value stops the start with one line; what is not set has the default that is safe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shop_catalogue import AGENTS

from app.settings import Settings, load_settings

Load = Callable[..., Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Read the settings from this environment alone, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)

    def load_with(*command_line: str, **environment: str) -> Settings:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load_settings(command_line)

    return load_with


def test_nothing_set_is_a_worker_of_all_agents_on_loopback(load: Load) -> None:
    settings = load()
    assert settings.kafka_broker == ("127.0.0.1:9092",)
    assert settings.kafka_security_protocol == "PLAINTEXT"
    assert (settings.agents, settings.agent_set) == ((), "all")
    assert settings.event_topics == ("payments", "orders", "shipping", "support", "ledger", "platform", "recovery")
    assert (settings.web_bind, settings.web_port, settings.api_token) == ("127.0.0.1", 6066, None)
    assert settings.migrate_at_start
    assert settings.window_events is None
    assert settings.topic_partitions == 8
    assert settings.datadir == Path("var/data")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BROKER", ""),
        ("KAFKA_BROKER", "localhost"),
        ("KAFKA_BROKER", ":9092"),
        ("KAFKA_BROKER", "localhost:kafka"),
        ("KAFKA_BROKER", "localhost:0"),
        ("KAFKA_BROKER", "localhost:65536"),
        ("KAFKA_BROKER", "one:9092,two"),
        ("KAFKA_PROFILE", "redpanda"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_SECURITY_SASL_MECHANISM", "GSSAPI"),
        ("KAFKA_GROUP_INSTANCE_ID", "pod 0"),
        ("KAFKA_SESSION_TIMEOUT_SECONDS", "5"),
        ("KAFKA_SESSION_TIMEOUT_SECONDS", "91"),
        ("DATABASE_URL", ""),
        ("DATABASE_WORKER_ROLE", "worker; DROP TABLE decisions"),
        ("DATABASE_WORKER_ROLE", "public"),
        ("DATABASE_READER_ROLE", "pg_read_all_data"),
        ("DATABASE_READER_ROLE", "r" * 64),
        ("MIGRATE_AT_START", "perhaps"),
        ("AGENTS", "nobody"),
        ("AGENTS", "fraud,nobody"),
        ("TIMELINES", "customers"),
        ("TIMELINES", "customer:"),
        ("TIMELINES", "all,PaymentFailed"),
        ("TOPIC_PARTITIONS", "0"),
        ("TOPIC_PARTITIONS", "1025"),
        ("TOPIC_PARTITIONS", "eight"),
        ("TOPIC_REPLICATION_FACTOR", "0"),
        ("TOPIC_REPLICATION_FACTOR", "16"),
        ("MAX_EVENT_BYTES", "1023"),
        ("MAX_EVENT_BYTES", "921601"),
        ("WINDOW_EVENTS", "0"),
        ("WINDOW_EVENTS", "1001"),
        ("WEB_PORT", "0"),
        ("WEB_PORT", "65536"),
    ],
)
def test_a_wrong_value_stops_the_start_with_one_line_and_code_2(
    load: Load, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        load(**{name: value})
    output = capsys.readouterr()
    assert stopped.value.code == 2
    assert output.out == ""
    assert output.err.startswith(f"innervate: {name}: ")
    assert output.err.count("\n") == 1
    assert output.err.endswith("\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "nonsense"),
        ("EVENT_TOPICS", "pay ments"),
        ("EVENT_TOPICS", "payments,timeline-customer"),
        ("EVENT_TOPICS", "dead-letters"),
        ("KAFKA_SECURITY_CAFILE", "nowhere.pem"),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
    ],
)
def test_a_value_that_cannot_work_stops_the_start_too(load: Load, name: str, value: str) -> None:
    with pytest.raises(SystemExit):
        load(**{name: value})


def test_a_worker_is_the_same_member_of_its_groups_over_restarts_when_it_is_told_who_it_is(load: Load) -> None:
    assert load(KAFKA_SESSION_TIMEOUT_SECONDS="45").static_member() == {}
    static = load(KAFKA_SESSION_TIMEOUT_SECONDS="45", KAFKA_GROUP_INSTANCE_ID="innervate-all-0").static_member()
    assert static == {"group_instance_id": "innervate-all-0", "session_timeout_ms": 45_000}


def test_who_writes_and_who_reads_are_not_the_same(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(DATABASE_WORKER_ROLE="innervate", DATABASE_READER_ROLE="innervate")
    assert capsys.readouterr().err == (
        "innervate: DATABASE_READER_ROLE: DATABASE_WORKER_ROLE is the same: a reader would write\n"
    )


def test_the_fenced_mode_needs_a_broker_with_transactions(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    assert not load().outbox_fenced
    assert load(OUTBOX_FENCED="true").outbox_fenced
    with pytest.raises(SystemExit) as stopped:
        load(OUTBOX_FENCED="true", KAFKA_PROFILE="tansu")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        "innervate: OUTBOX_FENCED: the embedded broker has no transactions that aiokafka can use; run an Apache Kafka\n"
    )


def test_an_unknown_agent_is_answered_with_those_there_are(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(AGENTS="fruad")
    assert capsys.readouterr().err == f"innervate: AGENTS: no agent named fruad; there are {', '.join(AGENTS)}\n"


@pytest.mark.parametrize("agents", ["fraud", " fraud , ", "fraud,fraud"])
def test_a_set_of_agents_names_the_worker(load: Load, agents: str) -> None:
    settings = load(AGENTS=agents)
    assert (settings.agents, settings.agent_set) == (("fraud",), "fraud")


def test_an_empty_set_of_agents_is_all_of_them(load: Load) -> None:
    assert load(AGENTS="").agent_set == "all"


def test_a_worker_routes_and_decides_or_does_one_of_both(load: Load) -> None:
    both, alone, none = load(), load(ROUTER="alone"), load(ROUTER="none", AGENTS="fraud")
    shadow = load(ROUTER="inside", AGENTS="", SHADOW="agents.shop.fraud.rules:fraud")
    assert (both.is_routing, both.agent_set) == (True, "all")
    assert (alone.is_routing, alone.agent_set, alone.running) == (True, "routers", [])
    assert (none.is_routing, [agent.name for agent in none.running]) == (False, ["fraud"])
    assert not shadow.is_routing


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"AGENTS": "fraud"}, "AGENTS: ROUTER=alone runs no agents: leave AGENTS empty there"),
        (
            {"SHADOW": "agents.shop.fraud.rules:fraud"},
            "SHADOW: a shadow does not route: leave ROUTER as it is there",
        ),
    ],
)
def test_who_routes_alone_is_told_to_run_nothing(
    load: Load, capsys: pytest.CaptureFixture[str], given: dict[str, str], told: str
) -> None:
    with pytest.raises(SystemExit):
        load(ROUTER="alone", **given)
    assert capsys.readouterr().err == f"innervate: {told}\n"


def test_timelines_are_asked_for_by_the_names_of_the_domains_that_are_loaded(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load().timelines == ()
    assert load(TIMELINES="order:Noticed, service").timelines == ("order:Noticed", "service")
    with pytest.raises(SystemExit):
        load(TIMELINES="order", DOMAINS="agents.platform:platform")
    assert capsys.readouterr().err == (
        "innervate: TIMELINES: 'order' is neither all nor an entity nor entity:Type; the entities are service\n"
    )


def test_lists_are_separated_by_commas(load: Load) -> None:
    settings = load(KAFKA_BROKER="one:9092, two:9093", EVENT_TOPICS="payments,orders,")
    assert settings.kafka_broker == ("one:9092", "two:9093")
    assert settings.event_topics == ("payments", "orders")


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_token(load: Load, bind: str) -> None:
    assert load(WEB_BIND=bind).web_on_loopback


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
@pytest.mark.parametrize("token", [{}, {"API_TOKEN": ""}], ids=["no token", "empty token"])
def test_anything_but_loopback_needs_a_token(
    load: Load, capsys: pytest.CaptureFixture[str], bind: str, token: dict[str, str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        load(WEB_BIND=bind, **token)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        "innervate: WEB_BIND is not loopback: set API_TOKEN or API_TOKENS, or the whole network can read the windows\n"
    )
    assert not load(WEB_BIND=bind, API_TOKEN="secret").web_on_loopback


def test_the_environment_comes_before_the_file(load: Load) -> None:
    Path(".env").write_text("WEB_PORT=7000\nTOPIC_PARTITIONS=3\nSOMETHING_ELSE=1\n")
    settings = load(WEB_PORT="7001")
    assert (settings.web_port, settings.topic_partitions) == (7001, 3)


@pytest.mark.parametrize("arguments", [["--datadir", "/data"], ["--datadir=/data"], ["-D", "/data"]])
def test_the_data_directory_of_fausts_command_line_comes_first(load: Load, arguments: list[str]) -> None:
    settings = load("-A", "app", *arguments, "worker", "-l", "info", "--without-web", DATADIR="/elsewhere")
    assert settings.datadir == Path("/data")


def test_the_data_directory_of_the_environment_comes_next(load: Load) -> None:
    assert load("-A", "app", "worker", DATADIR="/elsewhere").datadir == Path("/elsewhere")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("AGENT", "AGENT: there is no such setting; AGENTS is meant? If not, set AGENTS as well"),
        ("llm_modle", "LLM_MODLE: there is no such setting; LLM_MODEL is meant? If not, set LLM_MODEL as well"),
        ("HOLD_EVERYTHING", "HOLD_EVERYTHING: there is no such setting"),
    ],
)
def test_a_misspelt_setting_stops_the_start_with_one_line(
    load: Load, capsys: pytest.CaptureFixture[str], name: str, line: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        load(**{name: "fraud"})
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"innervate: {line}\n"


def test_a_misspelt_setting_in_the_file_stops_the_start_too(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("KAFKA_BROKERS=kafka:9092\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        load()
    assert capsys.readouterr().err.startswith("innervate: KAFKA_BROKERS: there is no such setting; KAFKA_BROKER is")


def test_what_the_file_says_for_others_is_told_of_and_the_worker_starts(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".env").write_text("POSTGRES_PASSWORD=secret\nAGENTS=fraud\n", encoding="utf-8")
    assert load().agents == ("fraud",)
    assert capsys.readouterr().err == "innervate: .env: POSTGRES_PASSWORD is no setting of Innervate and does nothing\n"


def test_the_right_name_beside_it_says_that_the_other_is_somebody_else_s(load: Load) -> None:
    assert load(AGENT="/usr/bin/agent", AGENTS="fraud").agents == ("fraud",)
