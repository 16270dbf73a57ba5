"""Which code the agents of a worker decide by."""

from __future__ import annotations

import platform
from importlib.metadata import version

import pytest

from app.settings import Settings
from app.worker import code
from app.worker.code import codes_of, deciding_code, release


def test_each_agent_of_the_set_says_its_code() -> None:
    settings = Settings(agents=("bookkeeping", "fraud"), release_build="aa811f1")

    [bookkeeping, fraud] = codes_of(settings)

    assert (bookkeeping.agent, fraud.agent) == ("bookkeeping", "fraud")
    assert bookkeeping.rules_hash != fraud.rules_hash
    assert fraud.version == "1"
    assert fraud.settings["window"]["events"] == 50
    assert fraud.release == f"{version('innervate')}+aa811f1"
    assert fraud.libraries["python"] == platform.python_version()
    assert "agents.shop.fraud.signs" in fraud.sources


def test_a_shadow_says_it_under_its_own_name() -> None:
    settings = Settings(shadow="agents.shop.fraud.rules:fraud", shadow_label="new")

    assert [each.agent for each in codes_of(settings)] == ["fraud@new"]


def test_other_settings_are_other_code_with_the_same_rules() -> None:
    [one] = codes_of(Settings(agents=("fraud",)))
    [other] = codes_of(Settings(agents=("fraud",), window_events=7))

    assert one.rules_hash == other.rules_hash
    assert one.settings_hash != other.settings_hash


def test_a_build_that_nobody_named_is_told_by_the_sources() -> None:
    assert release().startswith(f"{version('innervate')}+")
    assert release() == release("")
    assert release("7") == f"{version('innervate')}+7"


def test_the_commit_that_was_installed_is_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    class Installed:
        version = "1.2.3"

        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return '{"url": "https://example.invalid", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}'

    monkeypatch.setattr(code, "distribution", lambda _name: Installed())
    release.cache_clear()

    assert release() == "1.2.3+0123456789ab"

    release.cache_clear()


def test_a_replay_decides_by_the_same_code_as_the_worker() -> None:
    settings = Settings(agents=("fraud",))
    [live] = codes_of(settings)

    now = deciding_code(settings, settings.catalogue.agents["fraud"])

    assert (now.rules_hash, now.settings, now.release) == (live.rules_hash, live.settings, live.release)
