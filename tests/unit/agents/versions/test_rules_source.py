"""What an agent's judgement is made of."""

from __future__ import annotations

import functools
import importlib
import itertools
import py_compile
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from shop_catalogue import CATALOGUE

import agents
from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History
from agents.shop.entities import customer
from agents.shop.events import PaymentSucceeded
from agents.versions import reach
from agents.versions.rules import rules_source
from tables.window import WindowSpec

#: A domain in a package of its own, with a file beside it that belongs to nobody.
PACKAGE = {
    "ci/__init__.py": "",
    "ci/rules.py": """
from __future__ import annotations
from typing import TYPE_CHECKING
import orjson
import ci.words
from ci import facts
from .limits import LIMIT
import beside
if TYPE_CHECKING:
    from ci import only_types

def judge(event, history):
    from ci.late import later
    return orjson.dumps([LIMIT, facts.FACT, later, beside.THING])
""",
    "ci/facts.py": "FACT = 1\n",
    "ci/limits.py": "from ci.deeper.values import *\nLIMIT = 2\n",
    "ci/deeper/__init__.py": "",
    "ci/deeper/values.py": "DEEP = 3\n",
    "ci/late.py": "later = 4\n",
    "ci/words.py": "WORD = 'a'\n",
    "ci/only_types.py": "class Thing: ...\n",
    "ci/stranger.py": "NOBODY = 5\n",
    "beside.py": "THING = 6\n",
}
COVERED = ["beside", "ci", "ci.deeper.values", "ci.facts", "ci.late", "ci.limits", "ci.rules", "ci.words"]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Loads the package from a folder of its own, changed as the test wants, and forgets the one before."""
    folders = (tmp_path / str(number) for number in itertools.count())

    def forget() -> None:
        reach._read.cache_clear()  # noqa: SLF001 - a process reads each module once
        importlib.invalidate_caches()
        for name in [name for name in sys.modules if name.split(".")[0] in {"ci", "beside"}]:
            del sys.modules[name]

    def run(changes: dict[str, str] | None = None) -> ModuleType:
        folder = next(folders)
        for name, text in {**PACKAGE, **(changes or {})}.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        forget()
        monkeypatch.syspath_prepend(str(folder))
        return importlib.import_module("ci.rules")

    yield run
    forget()


def agent_of(rules: Callable[..., Decision]) -> Agent:
    made = Agent(
        name="flaky",
        entity=customer,
        reacts_to=(PaymentSucceeded,),
        remembers=(),
        window=WindowSpec(events=1, age=timedelta(days=1)),
    )
    made.rules(rules)
    return made


def test_every_module_of_the_domain_that_the_rules_reach_is_covered(load: Callable[..., ModuleType]) -> None:
    found = rules_source(agent_of(load().judge))

    assert list(found.sources) == COVERED
    assert list(found.libraries) == ["orjson"]


@pytest.mark.parametrize("file", ["ci/facts.py", "ci/deeper/values.py", "ci/late.py", "ci/words.py", "beside.py"])
def test_a_helper_that_changes_changes_the_hash(load: Callable[..., ModuleType], file: str) -> None:
    before = rules_source(agent_of(load().judge))

    after = rules_source(agent_of(load({file: PACKAGE[file] + "MORE = 1\n"}).judge))

    assert after.sha256 != before.sha256
    name = file.removesuffix(".py").replace("/", ".")
    assert [each for each in COVERED if after.sources[each] != before.sources[each]] == [name]


@pytest.mark.parametrize(
    ("owners", "libraries"),
    [
        # As installed from a wheel, where the file beside the package is the same distribution's.
        ({"ci": ["myci"], "beside": ["myci"], "orjson": ["orjson"]}, ["orjson"]),
        # As somebody else's, where its version counts.
        ({"ci": ["myci"], "beside": ["pydantic"], "orjson": ["orjson"]}, ["orjson", "pydantic"]),
    ],
)
def test_what_the_domain_brings_itself_is_source_and_what_others_bring_a_version(
    load: Callable[..., ModuleType], monkeypatch: pytest.MonkeyPatch, owners: dict[str, list[str]], libraries: list[str]
) -> None:
    monkeypatch.setattr(reach, "_distributions", lambda: owners)

    found = rules_source(agent_of(load().judge))

    assert list(found.libraries) == libraries
    assert ("beside" in found.sources) == ("pydantic" not in libraries)


@pytest.mark.parametrize("file", ["ci/stranger.py", "ci/only_types.py"])
def test_what_the_rules_do_not_reach_changes_nothing(load: Callable[..., ModuleType], file: str) -> None:
    before = rules_source(agent_of(load().judge))

    assert rules_source(agent_of(load({file: "OTHER = 9\n"}).judge)) == before


def test_comments_and_the_place_it_is_installed_in_change_nothing(load: Callable[..., ModuleType]) -> None:
    before = rules_source(agent_of(load().judge))

    commented = {name: f"# why\n\n{text}\n# done\n" for name, text in PACKAGE.items()}
    assert rules_source(agent_of(load(commented).judge)) == before


def made_with(limit: object) -> Callable[..., Decision]:
    def judge(_event: PaymentSucceeded, _history: History) -> Decision:
        return Decision(outcome="ok", reason=str(limit))

    return judge


class Judge:
    """Rules that hold what they go by."""

    def __init__(self, limit: object) -> None:
        self.limit = limit

    def __call__(self, _event: PaymentSucceeded, _history: History) -> Decision:
        return Decision(outcome="ok", reason=str(self.limit))

    def judge(self, _event: PaymentSucceeded, _history: History) -> Decision:
        return Decision(outcome="ok", reason=str(self.limit))


def by(_limit: object, _event: PaymentSucceeded, _history: History) -> Decision:
    return Decision(outcome="ok", reason="")


MAKERS: list[Callable[[object], Callable[..., Decision]]] = [
    made_with,
    lambda limit: functools.partial(by, limit),
    Judge,
    lambda limit: Judge(limit).judge,
    lambda limit: functools.wraps(by)(made_with(limit)),
]


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings as many write them: without a dictionary."""

    amount: object


PAIRS: list[tuple[object, object]] = [
    (1, 2),
    (1, 1.0),
    (None, 0),
    ({"a": [1]}, {"a": [2]}),
    ({"x", "y"}, {"x", "z"}),
    (Judge(1), Judge(2)),
    (Limits(1), Limits(2)),
    (Limits({"a": Limits((1,))}), Limits({"a": Limits((2,))})),
    (re.compile("a" * 300), re.compile("a" * 299 + "b")),
    (re.compile("a"), re.compile("a", re.IGNORECASE)),
    (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
    (by, Judge),
    (functools.lru_cache(by), functools.lru_cache(made_with)),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_what_functions_were_made_with_is_covered(
    make: Callable[[object], Callable[..., Decision]], one: object, other: object
) -> None:
    first = rules_source(agent_of(make(one)))

    assert rules_source(agent_of(make(one))) == first
    assert rules_source(agent_of(make(other))).sha256 != first.sha256


def test_what_lies_elsewhere_in_memory_is_the_same() -> None:
    def held(*made: object) -> str:
        return rules_source(agent_of(made_with(frozenset(made)))).sha256

    assert held(by, made_with, Judge, 3) == held(3, Judge, made_with, by)
    assert held(*(Limits(n) for n in (1, 1))) == held(Limits(1))


def test_rules_that_hold_themselves_are_hashed() -> None:
    judge = Judge(None)
    judge.limit = [judge]

    assert rules_source(agent_of(judge)).sha256


def test_agents_of_one_module_have_hashes_of_their_own() -> None:
    assert rules_source(agent_of(by)).sha256 != rules_source(agent_of(Judge(1).judge)).sha256


def test_each_agent_that_ships_covers_its_own_modules_and_not_those_of_others() -> None:
    found = {name: rules_source(agent) for name, agent in CATALOGUE.agents.items()}

    assert len({each.sha256 for each in found.values()}) == len(found)
    fraud, recovery = found["fraud"].sources, found["recovery"].sources
    assert {"agents.shop.fraud.rules", "agents.shop.fraud.choice", "agents.shop.fraud.signs"} <= fraud.keys()
    assert {"agents.shop.recovery.rules", "agents.shop.facts.account", "agents.shop.refunds"} <= recovery.keys()
    assert not any(name.startswith("agents.shop.fraud") for name in recovery)
    assert not any(
        name.split(".")[0] in {"tables", "outbox", "app"} for each in found.values() for name in each.sources
    )


def test_every_room_of_innervate_is_told_by_its_release_or_is_a_domain() -> None:
    [folder] = agents.__path__
    rooms = {f"agents.{each.name}" for each in Path(folder).iterdir() if (each / "__init__.py").is_file()}

    assert rooms == {name for name in reach.INNERVATE if name.startswith("agents.")} | {
        "agents.platform",
        "agents.shop",
    }


def test_a_module_without_source_is_told_by_its_bytes(load: Callable[..., ModuleType]) -> None:
    judge = load().judge
    before = rules_source(agent_of(judge))
    file = Path(str(sys.modules["ci.facts"].__file__))
    py_compile.compile(str(file), str(file.with_suffix(".pyc")))
    file.unlink()
    for name in ("ci.facts", "ci.rules"):
        del sys.modules[name]
    reach._read.cache_clear()  # noqa: SLF001 - see above
    importlib.invalidate_caches()
    del sys.modules["ci"].facts

    after = rules_source(agent_of(importlib.import_module("ci.rules").judge))

    assert list(after.sources) == COVERED
    assert after.sources["ci.facts"] != before.sources["ci.facts"]
