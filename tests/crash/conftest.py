"""Fixtures of the crash suite: Apache Kafka, PostgreSQL behind a proxy, and workers to be hurt.

`--faults N` and `--seed S` choose the random run; the seed is printed first, so that a failure can be run again.
`--trade` leaves the other trades out. What is known of a test that failed is kept in `var/crash-kept` (`inquest`).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from acls import AUTHORIZER
from arena import Arena, CrashWorker, Seat
from inquest import hold_inquest, keep_logs
from proxy import Proxy
from scene import Scene, open_scene
from trades import TRADES, Trade

from app.sandbox import ApacheBroker, Sandbox

SEED = pytest.StashKey[int]()
FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", type=int, default=12, help="faults of the random crash run")
    parser.addoption("--seed", type=int, default=None, help="seed of the random crash run; from the clock by default")
    parser.addoption("--rate", type=float, default=50.0, help="records a second the random crash run sends")
    parser.addoption("--trade", choices=sorted(TRADES), help="what goes on; each in turn by default")
    parser.addoption("--fenced", action="store_true", help="workers publish in Kafka transactions")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if wanted := config.getoption("--trade"):
        others = [item for item in items if _trade_of(item) not in {wanted, None}]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call" and report.failed:
        item.stash[FAILED] = True
        if isinstance(directory := item.funcargs.get("tmp_path"), Path):
            keep_logs(directory, kept_of(item))
    return report


def kept_of(item: pytest.Item) -> Path:
    """Where what is known of a failure is kept."""
    name = re.sub(r"\W+", "-", item.name).strip("-")
    return Path(f"var/crash-kept/{name}-{seed_of(item.config)}").absolute()


def _trade_of(item: pytest.Item) -> str | None:
    """What goes on in a test; None where nothing does."""
    call = getattr(item, "callspec", None)
    return None if call is None else call.params.get("trade")


def pytest_report_header(config: pytest.Config) -> str:
    return f"crash: --seed {seed_of(config)} --faults {config.getoption('--faults')}"


def seed_of(config: pytest.Config) -> int:
    if SEED not in config.stash:
        given = config.getoption("--seed")
        config.stash[SEED] = int(time.time()) if given is None else int(given)
    return config.stash[SEED]


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    return seed_of(request.config)


@pytest.fixture(scope="session")
def fenced(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--fenced"))


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints a line at once, whatever pytest captures."""
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    began = time.monotonic()

    def line(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(f"[{time.monotonic() - began:6.1f} s] {text}")

    return line


@pytest.fixture(scope="module")
def trade(request: pytest.FixtureRequest) -> Trade:
    """What goes on: the shop, unless a test names another one."""
    return TRADES[getattr(request, "param", "shop")]


@pytest.fixture(scope="module")
def loaded(trade: Trade, installed_ci: Path) -> Mapping[str, str]:
    """What a worker is told to load the trade's domain."""
    return {"DOMAINS": trade.domains, "PYTHONPATH": str(installed_ci)}


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, trade: Trade, loaded: Mapping[str, str], fenced: bool
) -> Iterator[Scene]:
    """Services that the points of a file share, one after another."""
    with open_scene(tmp_path_factory.mktemp("sandbox"), trade, loaded, fenced=fenced) as scene:
        yield scene


@pytest.fixture
def kept(request: pytest.FixtureRequest) -> Path:
    """Where what is known of a failure of this test is kept; nothing is there before."""
    return kept_of(request.node)


@pytest.fixture
def make_arena(
    request: pytest.FixtureRequest, kept: Path, fenced: bool, tmp_path: Path, trade: Trade, loaded: Mapping[str, str]
) -> Iterator[Callable[[int], Arena]]:
    """Builds an arena with services of its own and so many seats, none of them taken."""
    arenas: list[Arena] = []
    with ExitStack() as stack:

        def build(seats: int) -> Arena:
            sandbox = stack.enter_context(guarded_sandbox(tmp_path / "sandbox"))
            proxy = stack.enter_context(Proxy(sandbox.postgres.port))
            settings = {**loaded, **worker_settings(sandbox, proxy, fenced=fenced)}
            workers = [ordered(sandbox, tmp_path / f"worker-{number}", settings) for number in range(seats)]
            arena = Arena(sandbox, proxy, [Seat(worker) for worker in workers], trade)
            stack.callback(arena.release)
            arenas.append(arena)
            return arena

        yield build
        if request.node.stash.get(FAILED, False):
            for arena in arenas:
                hold_inquest(arena, kept)


#: What wraps the product from outside.
POINTS = Path(__file__).parent / "points"


def at_point(settings: Mapping[str, str], point: str, passings: int, signal_name: str = "SIGKILL") -> Mapping[str, str]:
    """Settings of a worker (module `crashing`) that gets the signal when it passes a point for the n-th time."""
    return {**wrapped(settings), "CRASH_POINT": f"{point}:{passings}", "CRASH_SIGNAL": signal_name}


def wrapped(settings: Mapping[str, str]) -> Mapping[str, str]:
    """Settings of a worker whose module is one of `points`."""
    path = os.pathsep.join(filter(None, (str(POINTS), settings.get("PYTHONPATH"))))
    return {**settings, "PYTHONPATH": path}


def ordered(sandbox: Sandbox, directory: Path, settings: Mapping[str, str]) -> CrashWorker:
    """A worker that can be ordered to freeze (`Arena.order`)."""
    order = {"CRASH_ORDER": str(directory.with_suffix(".order"))}
    return CrashWorker(sandbox, directory, {**wrapped(settings), **order}, module="crashing")


def guarded_sandbox(directory: Path) -> Sandbox:
    """Services of which Kafka asks for rights; everybody has all of them until one is taken away."""
    sandbox = Sandbox(directory, "apache")
    sandbox.broker = ApacheBroker(sandbox.broker.directory, AUTHORIZER)
    return sandbox


def worker_settings(sandbox: Sandbox, proxy: Proxy, *, fenced: bool) -> dict[str, str]:
    behind_proxy = sandbox.database_url.replace(sandbox.postgres.address, f"127.0.0.1:{proxy.port}")
    return {"DATABASE_URL": behind_proxy, **({"OUTBOX_FENCED": "true"} if fenced else {})}
