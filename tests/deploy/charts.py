"""Charts: what `helm template` makes of the chart, and the programs that judge it.

Run as a program it renders what is kept in `deploy/manifests`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from waiting import PATIENCE_SECONDS

from app.sandbox.process import clean_environment

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "innervate"
EXAMPLES = ROOT / "deploy" / "helm" / "examples"
#: What `make deploy-tools` installs.
TOOLS = ROOT / "var" / "deploy" / "bin"
#: One for each kind; see `schemas`.
SCHEMAS = "var/deploy/schemas/{{ .ResourceKind }}{{ .KindSuffix }}.json"
#: The Kubernetes that manifests are rendered for and judged by.
KUBERNETES = "1.34.0"

#: The manifests that are kept in the repository, by name: the arguments they are rendered with.
RENDERED: Mapping[str, Sequence[str]] = {"default": (), "apart": ("--values", str(EXAMPLES / "apart.yaml"))}

Manifest = Mapping[str, Any]


def run(program: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run one of the tools; whether it failed is for the caller to judge."""
    return subprocess.run(
        [str(TOOLS / program), *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        cwd=ROOT,
        env=clean_environment(),
    )


def render(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`helm template` of a release named innervate, with more arguments."""
    fixed = ("template", "innervate", str(CHART), "--namespace", "innervate", "--kube-version", KUBERNETES)
    return run("helm", *fixed, *arguments)


def complaints(done: subprocess.CompletedProcess[str]) -> Sequence[str]:
    """What helm has to say, but for the alerts: they lie where Prometheus reads them, and the chart has a link."""
    return [line for line in done.stderr.splitlines() if "found symbolic link in path" not in line]


def kept(name: str) -> Path:
    """Where a rendered manifest is kept."""
    return ROOT / "deploy" / "manifests" / f"{name}.yaml"


def manifests(*arguments: str) -> Sequence[Manifest]:
    """What is rendered; fails when it cannot be."""
    done = render(*arguments)
    assert (done.returncode, complaints(done)) == (0, [])
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(kind: str, found: Iterable[Manifest]) -> Sequence[Manifest]:
    return [each for each in found if each["kind"] == kind]


def pods(found: Iterable[Manifest]) -> Mapping[str, Manifest]:
    """The templates of pods, by the name of whatever makes them."""
    return {each["metadata"]["name"]: each["spec"]["template"] for each in found if "template" in each.get("spec", {})}


def environment(pod: Manifest) -> Mapping[str, Any]:
    """The variables of a pod's container: its values, or where they come from."""
    [container] = pod["spec"]["containers"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def main() -> None:
    """Render what is kept."""
    for name, arguments in RENDERED.items():
        done = render(*arguments)
        assert done.returncode == 0, done.stderr
        kept(name).write_text(done.stdout, encoding="utf-8")


if __name__ == "__main__":
    main()
