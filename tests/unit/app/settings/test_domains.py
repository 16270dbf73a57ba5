"""`DOMAINS`: what cannot be loaded stops the start with one line; the rest is loaded once, in whatever order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE_SECONDS

from app.sandbox.process import clean_environment
from app.settings.domains import DomainSettings
from app.settings.objects import catalogue_of

OWN = "from agents import *\n"


@pytest.mark.parametrize(
    ("source", "place", "why"),
    [
        ("", ":ci", "expected module:name, a Domain in a module that can be imported"),
        ("", "own", "expected module:name, a Domain in a module that can be imported"),
        ("", "own:", "expected module:name, a Domain in a module that can be imported"),
        ("", "own:ci", "own:ci cannot be imported: AttributeError: module 'own' has no attribute 'ci'"),
        ("", "nowhere.at.all:ci", "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("", "own:ci:more", "own:ci:more cannot be imported: AttributeError: "),
        ("ci = 'ci'\n", "own:ci", "own:ci is a str, expected a Domain"),
        (OWN + "ci = Domain\n", "own:ci", "own:ci is a type, expected a Domain"),
        ("raise RuntimeError('two\\nlines')\n", "own:ci", "own:ci cannot be imported: RuntimeError: two lines"),
        ("import sys\nsys.exit(3)\n", "own:ci", "own:ci cannot be imported: SystemExit: 3"),
        ("def\n", "own:ci", "own:ci cannot be imported: SyntaxError: "),
        (OWN + "ci = Domain(name='CI')\n", "own:ci", "domain name 'CI': expected lower-case"),
        (OWN + "ci = Domain(name='ci', uses=platform)\n", "own:ci", "uses must be a sequence, got Domain"),
        (OWN + "ci = Domain(name='platform', uses=[platform])\n", "own:ci", "platform uses itself"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_refused_in_one_line(
    source: str, place: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own", raising=False)

    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as refused:
        catalogue_of([place])
    assert why in str(refused.value)


def test_the_same_domain_twice_and_one_that_another_uses_are_loaded_once() -> None:
    places = ["agents.shop:shop", "agents.platform.domain:platform", "agents.shop:shop"]

    assert [domain.name for domain in catalogue_of(places).domains] == ["platform", "shop"]
    assert [domain.name for domain in catalogue_of(places[::-1]).domains] == ["platform", "shop"]


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("", "expected at least one domain"),
        (" , ", "expected at least one domain"),
        ("nowhere:ci", "cannot be imported"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_code_2_and_one_line(setting: str, why: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("innervate")), "asyncapi"],
        cwd=tmp_path,
        env=clean_environment() | {"DOMAINS": setting},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("innervate: DOMAINS")
    assert why in line


def test_trusted_sources_are_in_the_catalogue_that_reads_histories() -> None:
    settings = DomainSettings(trusted_sources="urn:shop:checks, https://fraud.example/scores")

    assert settings.catalogue.types.trusted == {"urn:shop:checks", "https://fraud.example/scores"}
    assert DomainSettings().catalogue.types.trusted == frozenset()


@pytest.mark.parametrize("sources", ["checks", "urn:", "urn:shop:a b", "urn:shop:\u00fc"])
def test_a_source_that_is_no_uri_is_refused(sources: str) -> None:
    with pytest.raises(ValueError, match=r"is no URI of a source, such as urn:shop:checks"):
        DomainSettings(trusted_sources=sources)
