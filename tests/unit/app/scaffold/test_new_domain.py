"""`innervate new-domain NAME` writes a package as strict as ours that runs; what it cannot do it says in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE_SECONDS

from app.sandbox.process import clean_environment
from app.scaffold import MAX_NAME, NotWritten, write_domain

ROOT = Path(__file__).parents[4]
BIN = Path(sys.executable).parent
#: A plain one, the shortest, and the longest.
NAMES = ("robot", "q", "x_ray_camera_of_the_roof")


def run(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=folder,
        env={**clean_environment(), "PYTHONDONTWRITEBYTECODE": "1", **settings},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with domains of all names; neither Kafka nor PostgreSQL is where the settings say."""
    folder = tmp_path_factory.mktemp("domains")
    for name in NAMES:
        done = run(folder, "innervate", "new-domain", name)
        assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_the_files_and_the_next_three_commands_are_printed(tmp_path: Path) -> None:
    done = run(tmp_path, "innervate", "new-domain", "robot")

    assert done.stdout == (
        "robot/__init__.py\n"
        "robot/domain.py\n"
        "robot/test_robot.py\n"
        "robot/README.md\n"
        "\n"
        "pytest robot\n"
        "python -m app.sandbox.services\n"
        ". var/services.env && DOMAINS=robot.domain:robot_domain innervate worker -l info\n"
    )
    assert {path.name for path in tmp_path.rglob("*")} == {
        "robot",
        "__init__.py",
        "domain.py",
        "test_robot.py",
        "README.md",
    }


def test_what_is_written_passes_our_linter_and_its_formatter(written: Path) -> None:
    config = str(ROOT / "pyproject.toml")
    for check in (("check",), ("format", "--check")):
        done = run(written, "ruff", *check, "--no-cache", "--config", config, ".")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_what_is_written_passes_our_type_checker(written: Path) -> None:
    config = str(ROOT / "pyproject.toml")
    done = run(written, "mypy", "--config-file", config, *NAMES, MYPYPATH=str(ROOT))
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_own_tests_pass(written: Path) -> None:
    (written / "pytest.ini").write_text("[pytest]\naddopts = -q -p app.pytest_plugin -p no:cacheprovider\n")
    done = run(written, "pytest", *NAMES, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTHONPATH=str(ROOT))
    assert f"{2 * len(NAMES)} passed" in done.stdout, done.stdout + done.stderr


def test_a_worker_would_load_all_of_them_at_once(written: Path) -> None:
    places = ",".join(f"{name}.domain:{name}_domain" for name in NAMES)
    done = run(written, "innervate", "agents", DOMAINS=places)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(re.findall(r"@(\w+)_watch", done.stdout)) == set(NAMES)


@pytest.mark.parametrize(
    "name",
    [
        *("", "Robot", "9robot", "_robot", "my-robot", "my robot", "../robot", "a/b", "robot.py", "rößler"),
        "x" * (MAX_NAME + 1),
        *("class", "match", "list", "print", "timedelta", "judge", "conftest"),
        *("agents", "app", "outbox", "tables", "json", "faust", "test"),
    ],
)
def test_an_unusable_name_is_refused_in_one_line_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotWritten) as caught:
        write_domain(name, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.rglob("*")) == []


def test_a_refusal_ends_the_command_with_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "innervate", "new-domain", "faust")
    why = "a module of this name is installed already, and Python would import that one"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"innervate: faust: {why}\n")
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_what_is_there_is_never_overwritten(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "robot"
    if kind == "folder":
        place.mkdir()
        (place / "domain.py").write_text("mine")
    elif kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to("nowhere")

    with pytest.raises(NotWritten, match="robot is there already"):
        write_domain("robot", tmp_path)
    kept = {"folder": {"robot", "domain.py"}, "file": {"robot"}, "dangling link": {"robot"}}
    assert {path.name for path in tmp_path.rglob("*")} == kept[kind]


def test_a_folder_that_takes_nothing_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(NotWritten, match="robot cannot be written: No such file or directory"):
        write_domain("robot", tmp_path / "gone")
