"""Images: the `Dockerfile` built by buildah, and its root file system started as a container engine would start it.

There is no container engine and no image registry here. So the base is one of Debian's packages, of the release and the
Python that the base's tag names, with pip where the official image has it; and a container is what the kernel makes
one of: namespaces of mounts and processes, a read-only root, no capability, no new privileges, the image's user.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from waiting import PATIENCE_SECONDS, eventually

ROOT = Path(__file__).parents[2]
#: A base takes a minute to make and is kept.
KEPT = ROOT / "var" / "deploy"
#: Minutes of downloads and copies, where a test waits for seconds.
BUILD_SECONDS = 900.0
#: The build of the release that the image is told it is.
BUILD = "0123abc"
#: What a build needs of this machine to install from PyPI: how its pip is set up, and whom it trusts.
OF_THIS_MACHINE = ("/etc/pip.conf", "/etc/ssl/certs")

#: Run by `sh` as the first process of new namespaces: root, data, and what is started.
CONTAINER = """
set -e
root=$1; data=$2; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o size=64m,mode=1777,nosuid,nodev tmpfs "$root/tmp"
mount --bind "$data" "$root/data"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" "$@"
"""
CONFINED = ("--no-new-privs", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all")


@dataclass(frozen=True)
class Image:
    """The root file system of the image, and what it says about how it is started."""

    root: Path
    config: Mapping[str, Any]

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that the image sets."""
        return dict(each.split("=", 1) for each in self.config["Env"])

    def command(self, data: Path, command: Sequence[str], settings: Mapping[str, str]) -> list[str]:
        """The command line that runs a command in a container with these settings, `data` being its volume."""
        user, group = self.config["User"].split(":")
        variables = [f"{name}={value}" for name, value in {**self.environment, **settings}.items()]
        inside = ["setpriv", f"--reuid={user}", f"--regid={group}", *CONFINED]
        where = ["env", f"--chdir={self.config['WorkingDir']}", "-i", *variables]
        unshared = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [*unshared, "sh", "-c", CONTAINER, "sh", str(self.root), str(data), *inside, *where, *command]

    def run(
        self, data: Path, *command: str, settings: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a container to its end."""
        return subprocess.run(
            self.command(data, command, settings or {}),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )


class Container:
    """What the image starts by itself, until it ends or the block is left."""

    def __init__(self, image: Image, data: Path, settings: Mapping[str, str]) -> None:
        """Prepare; `settings` are variables on top of the image's."""
        started = [*image.config["Entrypoint"], *image.config["Cmd"]]
        self._command = image.command(data, started, settings)
        self.log_path = data.with_suffix(".log")

    def __enter__(self) -> Self:
        """Start."""
        with self.log_path.open("wb") as log:
            self._parent = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        children = Path(f"/proc/{self._parent.pid}/task/{self._parent.pid}/children")
        [pid] = eventually(lambda: children.read_text().split(), what="the first process of the container")
        self.pid = int(pid)
        return self

    def __exit__(self, *_: object) -> None:
        """End what still runs."""
        self._parent.kill()
        self._parent.wait(PATIENCE_SECONDS)

    @property
    def log(self) -> str:
        """What it has printed."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def status(self) -> Mapping[str, str]:
        """What the kernel says about the process."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def tell_to_stop(self) -> None:
        """Send what the image wants for it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._parent.poll()


class Builder:
    """buildah with storage of its own, which goes when the block is left."""

    def __init__(self, directory: Path) -> None:
        """Keep everything in this directory."""
        self._storage = ["--root", str(directory / "storage"), "--runroot", str(directory / "run")]
        self._environment = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}

    def __call__(self, *arguments: str) -> str:
        """Run one command of buildah and return what it prints; fails with what it says."""
        done = subprocess.run(
            ["buildah", *self._storage, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(arguments)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget everything."""
        self("rm", "--all")
        self("rmi", "--all", "--force")

    def image(self) -> Image:
        """The image of the Dockerfile."""
        there = [path for path in OF_THIS_MACHINE if Path(path).exists()]
        mounted = [argument for path in there for argument in ("-v", f"{path}:{path}:ro")]
        told = ("--build-arg", f"BASE={self._base()}", "--build-arg", f"RELEASE_BUILD={BUILD}")
        self("bud", "--format", "docker", *told, *mounted, "-t", "innervate", str(ROOT))
        container = self("from", "--pull-never", "innervate")
        config = json.loads(self("inspect", "--type", "image", "innervate"))["Docker"]["config"]
        return Image(Path(self("mount", container)), config)

    def _base(self) -> str:
        dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
        found = re.search(r"^ARG BASE=python:(3\.\d+)-slim-(\w+)@", dockerfile, re.MULTILINE)
        assert found, "the tag of the base says which Python and which Debian"
        python, debian = found.groups()
        container = self("from", "scratch")
        self("add", container, str(debian_with(python, debian)), "/")
        # There pip lies where the official image has it, and is taken away like there.
        self("run", container, "--", f"python{python}", "-m", "venv", "/usr/local")
        self("config", "--env", "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", container)
        self("commit", "--quiet", "--rm", container, "localhost/base")
        return "localhost/base"


def debian_with(python: str, release: str) -> Path:
    """An archive of a minimal Debian with a Python, made of its packages once and kept."""
    archive = KEPT / f"debian-{release}-python{python}.tar"
    if not archive.exists():
        unfinished = archive.with_suffix(".new.tar")
        packages = f"--include=python{python},python{python}-venv,ca-certificates"
        made = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", packages, release, str(unfinished)],
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        assert made.returncode == 0, made.stderr[-3000:]
        unfinished.rename(archive)
    return archive
