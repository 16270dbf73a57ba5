"""Settings of language models and held decisions: a wrong value is one line; nothing set is rules and no waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from shop_catalogue import AGENTS

from agents.model.holding import HoldPolicy
from app.settings import Settings, load_settings
from app.worker.interviewing import limits_of

Load = Callable[..., Settings]

MODEL = {"LLM_URL": "http://127.0.0.1:11434/v1", "LLM_MODEL": "tiny"}
ROOT = Path(__file__).parents[4]
NAMES = ", ".join(AGENTS)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Read the settings from this environment alone, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)

    def load_with(**environment: str) -> Settings:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load_settings()

    return load_with


def test_nothing_set_is_rules_for_everybody_and_nothing_waits(load: Load) -> None:
    settings = load()
    assert (settings.llm_url, settings.llm_model, settings.llm_api_key) == ("", "", None)
    assert {settings.brain_of(agent) for agent in AGENTS} == {"rules"}
    assert {settings.hold_policy_of(agent) for agent in AGENTS} == {HoldPolicy()}
    assert settings.daily_tokens() == dict.fromkeys(AGENTS, 1_000_000)
    assert (settings.llm_timeout_seconds, settings.llm_deadline_seconds) == (10.0, 20.0)
    assert (settings.llm_concurrency, settings.llm_queue, settings.llm_reply_tokens) == (64, 64, 1024)
    assert set(settings.llm_redact) == {"address", "email", "phone", "name", "device_id", "card_id", "ip"}
    assert settings.hold_for == timedelta(days=1)


def test_a_url_gives_every_agent_a_model(load: Load) -> None:
    settings = load(**MODEL)
    assert settings.llm_url == "http://127.0.0.1:11434/v1"
    assert {settings.brain_of(agent) for agent in AGENTS} == {"model"}
    assert {settings.model_of(agent) for agent in AGENTS} == {"tiny"}


@pytest.mark.parametrize(("tokens", "reply_bytes"), [("1024", 256 * 1024), ("16384", 512 * 1024)])
def test_the_longest_reply_is_a_setting_and_its_bytes_grow_with_it(load: Load, tokens: str, reply_bytes: int) -> None:
    limits = limits_of(load(**MODEL, LLM_REPLY_TOKENS=tokens), queue=1)
    assert (limits.reply_tokens, limits.reply_bytes) == (int(tokens), reply_bytes)


@pytest.mark.parametrize("tokens", ["0", "-1", "15", "131073", "many"])
def test_a_reply_of_no_length_or_without_bound_is_refused(load: Load, tokens: str) -> None:
    with pytest.raises(SystemExit):
        load(**MODEL, LLM_REPLY_TOKENS=tokens)


def test_an_agent_can_be_named_another_brain(load: Load) -> None:
    settings = load(**MODEL, BRAINS="fraud=rules, recovery=second_opinion,root_cause=model")
    assert settings.brain_of("fraud") == "rules"
    assert settings.brain_of("recovery") == "second_opinion"
    assert settings.brain_of("root_cause") == "model"
    assert settings.brain_of("incident") == "model"


def test_rules_can_be_named_without_a_url(load: Load) -> None:
    assert load(BRAINS="fraud=rules").brain_of("fraud") == "rules"


def test_an_agent_can_be_named_another_model(load: Load) -> None:
    settings = load(**MODEL, LLM_MODELS="recovery=org/large:70b")
    assert settings.model_of("recovery") == "org/large:70b"
    assert settings.model_of("fraud") == "tiny"


@pytest.mark.parametrize(
    ("text", "fraud", "recovery", "others"),
    [
        ("2000000", 2_000_000, 2_000_000, 2_000_000),
        ("3000,fraud=5000,recovery=0", 5000, 0, 3000),
        ("recovery=0, 3000 , fraud = 5000", 5000, 0, 3000),
        ("fraud=5000", 5000, 1_000_000, 1_000_000),
        ("0", 0, 0, 0),
        ("", 1_000_000, 1_000_000, 1_000_000),
    ],
)
def test_tokens_are_given_to_all_and_to_some(load: Load, text: str, fraud: int, recovery: int, others: int) -> None:
    expected = {**dict.fromkeys(AGENTS, others), "fraud": fraud, "recovery": recovery}
    assert load(LLM_DAILY_TOKENS=text).daily_tokens() == expected


@pytest.mark.parametrize(
    ("environment", "of_recovery", "of_fraud"),
    [
        (
            {"HOLD_MOVES_OVER_MINOR": "50000"},
            HoldPolicy(moves_over_minor=50_000),
            HoldPolicy(moves_over_minor=50_000),
        ),
        ({"HOLD_MOVES_OVER_MINOR": "recovery=0"}, HoldPolicy(moves_over_minor=0), HoldPolicy()),
        ({"HOLD_CONFIDENCE_UNDER": "0.6"}, HoldPolicy(confidence_under=0.6), HoldPolicy(confidence_under=0.6)),
        (
            {"HOLD_CONFIDENCE_UNDER": "recovery=0.6,fraud=0.5"},
            HoldPolicy(confidence_under=0.6),
            HoldPolicy(confidence_under=0.5),
        ),
        (
            {"HOLD_OUTCOMES": "recovery=refund_and_cancel,recovery=refund_capture"},
            HoldPolicy(outcomes=frozenset({"refund_and_cancel", "refund_capture"})),
            HoldPolicy(),
        ),
        ({"HOLD_MOVES_OVER_MINOR": "", "HOLD_CONFIDENCE_UNDER": "", "HOLD_OUTCOMES": ""}, HoldPolicy(), HoldPolicy()),
    ],
)
def test_what_waits_is_said_for_all_or_for_some(
    load: Load, environment: Mapping[str, str], of_recovery: HoldPolicy, of_fraud: HoldPolicy
) -> None:
    settings = load(**environment)
    assert settings.hold_policy_of("recovery") == of_recovery
    assert settings.hold_policy_of("fraud") == of_fraud


def test_the_former_name_of_a_setting_works_and_is_told_of(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load(HOLD_REFUNDS_OVER_MINOR="recovery=50000")
    assert settings.hold_policy_of("recovery") == HoldPolicy(moves_over_minor=50_000)
    assert settings.hold_policy_of("fraud") == HoldPolicy()
    line = "innervate: HOLD_REFUNDS_OVER_MINOR is called HOLD_MOVES_OVER_MINOR now; it still works\n"
    assert capsys.readouterr().err == line


def test_hours_may_be_parts_of_one(load: Load) -> None:
    assert load(HOLD_HOURS="0.5").hold_for == timedelta(minutes=30)


def test_fields_to_redact_are_named_or_none_are(load: Load) -> None:
    assert load(LLM_REDACT="address, iban").llm_redact == ("address", "iban")
    assert load(LLM_REDACT="").llm_redact == ()


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"LLM_URL": "ftp://host/v1"}, "LLM_URL: the model's URL must begin with http:// or https:// and name a host"),
        (
            {"LLM_URL": "http://ada:pw@host/v1", "LLM_MODEL": "tiny"},
            "LLM_URL: the model's URL must hold no user, query or fragment: URLs are logged",
        ),
        ({"LLM_URL": "http://host/v1"}, "LLM_MODEL: LLM_URL needs the name of a model"),
        ({"LLM_URL": "http://host/v1", "LLM_MODEL": ""}, "LLM_MODEL: LLM_URL needs the name of a model"),
        ({**MODEL, "LLM_API_KEY": "sesame\n"}, "LLM_API_KEY: the model's API key must be printable ASCII"),
        ({"BRAINS": "fraud=model"}, "BRAINS: a model for fraud needs LLM_URL"),
        (
            {"BRAINS": "recovery=second_opinion,fraud=model,incident=rules"},
            "BRAINS: a model for fraud, recovery needs LLM_URL",
        ),
        ({**MODEL, "BRAINS": "fruad=rules"}, f"BRAINS: no agent named fruad; there are {NAMES}"),
        ({**MODEL, "BRAINS": "model"}, "BRAINS: expected agent=value, separated by commas"),
        ({**MODEL, "BRAINS": "fraud="}, "BRAINS: expected agent=value, separated by commas"),
        ({**MODEL, "BRAINS": "fraud=rules,fraud=model"}, "BRAINS: there are two values for fraud"),
        ({**MODEL, "BRAINS": "fraud=oracle"}, "BRAINS: Input should be 'rules', 'model' or 'second_opinion'"),
        ({**MODEL, "LLM_MODELS": "nobody=large"}, f"LLM_MODELS: no agent named nobody; there are {NAMES}"),
        ({**MODEL, "LLM_MODELS": "large"}, "LLM_MODELS: expected agent=value, separated by commas"),
        ({"LLM_DAILY_TOKENS": "nobody=1"}, f"LLM_DAILY_TOKENS: no agent named nobody; there are {NAMES}"),
        ({"LLM_DAILY_TOKENS": "1,2"}, "LLM_DAILY_TOKENS: there are two values for all agents"),
        ({"LLM_DAILY_TOKENS": "=1"}, "LLM_DAILY_TOKENS: expected agent=value, separated by commas"),
        ({"LLM_DAILY_TOKENS": "fraud=-1"}, "LLM_DAILY_TOKENS: Input should be greater than or equal to 0"),
        ({"LLM_TIMEOUT_SECONDS": "0"}, "LLM_TIMEOUT_SECONDS: Input should be greater than 0"),
        ({"LLM_TIMEOUT_SECONDS": "nan"}, "LLM_TIMEOUT_SECONDS: Input should be a finite number"),
        ({"LLM_TIMEOUT_SECONDS": "20.5"}, "LLM_DEADLINE_SECONDS: must not be less than LLM_TIMEOUT_SECONDS"),
        ({"LLM_DEADLINE_SECONDS": "9"}, "LLM_DEADLINE_SECONDS: must not be less than LLM_TIMEOUT_SECONDS"),
        ({"LLM_DEADLINE_SECONDS": "301"}, "LLM_DEADLINE_SECONDS: Input should be less than or equal to 300"),
        ({"LLM_CONCURRENCY": "0"}, "LLM_CONCURRENCY: Input should be greater than or equal to 1"),
        ({"LLM_QUEUE": "-1"}, "LLM_QUEUE: Input should be greater than or equal to 0"),
        ({"HOLD_MOVES_OVER_MINOR": "-1"}, "HOLD_MOVES_OVER_MINOR: Input should be greater than or equal to 0"),
        (
            {"HOLD_MOVES_OVER_MINOR": "1", "HOLD_REFUNDS_OVER_MINOR": "1"},
            "HOLD_REFUNDS_OVER_MINOR: HOLD_MOVES_OVER_MINOR is set as well, which it is called now",
        ),
        ({"HOLD_MOVES_OVER_MINOR": "a=1"}, f"HOLD_MOVES_OVER_MINOR: no agent named a; there are {NAMES}"),
        ({"HOLD_CONFIDENCE_UNDER": "fraud=1.5"}, "HOLD_CONFIDENCE_UNDER: Input should be less than or equal to 1"),
        ({"HOLD_OUTCOMES": "refund"}, "HOLD_OUTCOMES: expected agent=value, separated by commas"),
        ({"HOLD_OUTCOMES": "nobody=refund"}, f"HOLD_OUTCOMES: no agent named nobody; there are {NAMES}"),
        ({"HOLD_HOURS": "0"}, "HOLD_HOURS: Input should be greater than 0"),
    ],
)
def test_a_wrong_value_stops_the_start_with_one_line_that_says_what_is_wrong(
    load: Load, capsys: pytest.CaptureFixture[str], environment: Mapping[str, str], line: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        load(**environment)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"innervate: {line}\n"


@pytest.mark.parametrize("name", ["LLM_DAILY_TOKENS", "HOLD_MOVES_OVER_MINOR", "HOLD_CONFIDENCE_UNDER"])
def test_a_word_is_no_number(load: Load, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(SystemExit):
        load(**{name: "fraud=many"})
    assert capsys.readouterr().err.startswith(f"innervate: {name}: Input should be a valid ")


def test_the_key_is_shown_nowhere(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load(**MODEL, LLM_API_KEY="sk-sesame")
    assert "sesame" not in f"{settings!r} {settings}"
    with pytest.raises(SystemExit):
        load(LLM_API_KEY="sk-sesame\n")
    assert "sesame" not in capsys.readouterr().err


def test_an_empty_key_is_none(load: Load) -> None:
    assert load(**MODEL, LLM_API_KEY="").llm_api_key is None


def test_every_setting_is_in_the_documentation() -> None:
    documented = (ROOT / "docs/settings.md").read_text()
    assert [name for name in Settings.model_fields if f"`{name.upper()}`" not in documented] == []


def test_the_example_in_the_documentation_works(load: Load) -> None:
    _, _, example = (ROOT / "docs/settings.md").read_text().partition("```sh\n")
    Path(".env").write_text(example.partition("```")[0])
    settings = load()
    assert (settings.brain_of("fraud"), settings.brain_of("incident")) == ("rules", "model")
    assert settings.hold_policy_of("recovery") == HoldPolicy(
        moves_over_minor=50_000, confidence_under=0.6, outcomes=frozenset({"refund_and_cancel"})
    )
