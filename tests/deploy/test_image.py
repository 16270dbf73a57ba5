"""The image is built from the Dockerfile, has what a worker needs and no more, starts confined and stops in order.

How, without a container engine: `images`.
"""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from charts import run
from images import BUILD, Builder, Container, Image
from waiting import eventually

from app.sandbox import Sandbox
from app.sandbox.process import free_port

#: What builds programs, or installs them.
TOOLS = re.compile(r"^(cc|c\+\+|gcc|g\+\+|clang|ld|as|make|cmake|cargo|rustc|go|pip3?|git)([-.0-9]*)$")
LEFT_BEHIND = ("assistant", "demo", "sandbox", "scripted_model", "simulator")
#: What a shell says of a process that SIGTERM ended.
TERMINATED = 143


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with Builder(tmp_path_factory.mktemp("images")) as builder:
        yield builder.image()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The volume of a container, as an orchestrator gives it to the image's group."""
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, 10001, 10001)
    return folder


def installed(image: Image) -> list[Path]:
    """Everything where programs and packages are put, from the root of the image."""
    places = ("venv", "usr/local", "usr/bin", "usr/sbin", "root", "home", "data", "src", "wheels", "var/cache/apt")
    return [path.relative_to(image.root) for place in places for path in (image.root / place).rglob("*")]


def test_nothing_in_it_builds_or_installs(image: Image) -> None:
    found = installed(image)
    assert Path("venv/bin/innervate") in found
    assert [path for path in found if TOOLS.match(path.name)] == []
    assert [path for path in found if path.suffix in {".whl", ".deb"} or path.name == ".cache"] == []


def test_nothing_in_it_is_played_with(image: Image) -> None:
    [package] = (image.root / "venv" / "lib").glob("python3.*/site-packages/app")
    assert (package / "worker").is_dir()
    assert [name for name in LEFT_BEHIND if (package / name).exists()] == []


def test_the_user_of_the_image_owns_its_volume_alone(image: Image) -> None:
    owned = [path for path in installed(image) if (image.root / path).lstat().st_uid == 10001]
    assert owned == []
    assert ((image.root / "data").stat().st_uid, image.config["User"]) == (10001, "10001:10001")


def test_it_starts_the_worker_itself_and_asks_for_sigterm(image: Image) -> None:
    assert image.config["Entrypoint"] == ["innervate"]
    assert image.config["Cmd"] == ["worker", "-l", "info"]
    assert image.config["StopSignal"] == "SIGTERM"
    assert image.config["Healthcheck"]["Test"][:2] == ["CMD", "python"]


def test_it_knows_which_build_of_the_release_it_is(image: Image) -> None:
    assert f"RELEASE_BUILD={BUILD}" in image.config["Env"]


def test_nothing_can_be_written_but_the_volume_and_temporary_files(image: Image, data: Path) -> None:
    tried = "import pathlib, sys\nfor folder in sys.argv[1:]:\n"
    tried += " try: (pathlib.Path(folder) / 'file').touch(); print(folder)\n except OSError: pass\n"
    done = image.run(data, "python", "-c", tried, "/", "/venv", "/home/innervate", "/etc", "/tmp", "/data")
    assert (done.returncode, done.stdout.split()) == (0, ["/tmp", "/data"]), done.stderr


def test_a_confined_worker_gets_ready_and_stops_in_order(image: Image, sandbox: Sandbox, data: Path) -> None:
    port = free_port()
    settings = {**sandbox.worker_environment(), "WEB_PORT": str(port)}
    migrated = image.run(data, "innervate", "migrate", settings=settings)
    assert migrated.returncode == 0, migrated.stderr
    with Container(image, data, {**settings, "MIGRATE_AT_START": "false"}) as worker:
        eventually(lambda: worker.exit_code() is not None or is_ready(port), what="the worker to be ready")
        assert worker.exit_code() is None, worker.log[-3000:]

        status = worker.status()
        assert status["Uid"].split() == ["10001"] * 4
        assert status["Gid"].split() == ["10001"] * 4
        assert status["NoNewPrivs"] == "1"
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert status["NSpid"].split()[-1] == "1"

        healthy = image.run(data, *image.config["Healthcheck"]["Test"][1:], settings=settings)
        assert healthy.returncode == 0, healthy.stderr

        worker.tell_to_stop()
        assert eventually(worker.exit_code, lambda code: code is not None, what="the worker to end") == 0
        assert "Traceback" not in worker.log


def test_a_worker_that_has_not_begun_to_start_ends_at_once(image: Image, data: Path) -> None:
    settings = {"KAFKA_BROKER": "127.0.0.1:1", "DATABASE_URL": "postgresql://127.0.0.1:1/innervate"}
    with Container(image, data, settings) as worker:

        def told() -> int | None:
            worker.tell_to_stop()
            return worker.exit_code()

        assert eventually(told, lambda code: code is not None, what="the worker to end") == TERMINATED
        assert worker.log == ""


def test_hadolint_finds_nothing_to_say_about_the_dockerfile() -> None:
    done = run("hadolint", "Dockerfile")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=10) as response:
            return bool(json.load(response)["status"] == "ready")
    except urllib.error.URLError:
        return False
