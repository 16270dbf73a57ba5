"""Code: which code the agents of a worker decide by, told once, at its start.

The release is the version of Innervate with its build: what `RELEASE_BUILD` says, else the commit it was installed
from, else a hash of its own sources, so that two states of a checkout are told apart as well.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import orjson

from agents.model.agent import Agent
from agents.replay.code import DecidingCode
from agents.versions.reach import INNERVATE
from agents.versions.rules import rules_source
from app.settings import Settings
from app.settings.judging import judging
from outbox.codes import Code

_DISTRIBUTION: Final = "innervate"
#: What a decision goes through, of Innervate's own.
_ENGINE: Final = tuple(name for name in INNERVATE if name != "app")


def codes_of(settings: Settings) -> Sequence[Code]:
    """What each agent of the worker's set decides by."""
    return [code_of(settings, agent) for agent in settings.running]


def code_of(settings: Settings, agent: Agent) -> Code:
    """What this agent decides by, in a worker with these settings."""
    rules = rules_source(agent)
    matters = judging(settings, agent)
    shadow = settings.shadowing
    return Code(
        agent=agent.name if shadow is None else shadow.name_of(agent.name),
        version=agent.version,
        rules_hash=rules.sha256,
        settings_hash=hashlib.sha256(orjson.dumps(matters, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        settings=matters,
        sources=rules.sources,
        release=release(settings.release_build),
        libraries={"python": platform.python_version(), **rules.libraries},
    )


def deciding_code(settings: Settings, agent: Agent) -> DecidingCode:
    """What this agent decides by in a replay with these settings."""
    code = code_of(settings, agent)
    return DecidingCode(
        version=code.version,
        rules_hash=code.rules_hash,
        # As PostgreSQL gives it back.
        settings=orjson.loads(orjson.dumps(code.settings)),
        release=code.release,
        libraries=code.libraries,
    )


@lru_cache(maxsize=8)
def release(build: str = "") -> str:
    """The version and the build that runs here: `0.4.0+aa811f1`, `0.4.0+source.3f6c0a91d2b4`."""
    try:
        found = distribution(_DISTRIBUTION)
    except PackageNotFoundError:
        return f"unknown+{build or _source_build()}"
    return f"{found.version}+{build or _commit(found) or _source_build()}"


def _commit(found: Distribution) -> str:
    """The commit that a package manager installed, where it was installed from a repository (PEP 610)."""
    try:
        origin = orjson.loads(found.read_text("direct_url.json") or "{}")
    except orjson.JSONDecodeError:
        return ""
    return str(origin.get("vcs_info", {}).get("commit_id", ""))[:12]


def _source_build() -> str:
    digest = hashlib.sha256()
    for name, file in sorted(_sources()):
        content = file.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return f"source.{digest.hexdigest()[:12]}"


def _sources() -> Iterator[tuple[str, Path]]:
    """Python and SQL of what a decision goes through, by names that are the same wherever they lie."""
    for package in _ENGINE:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            root = Path(folder)
            for file in root.rglob("*"):
                if file.suffix in {".py", ".sql"}:
                    yield f"{package}/{file.relative_to(root).as_posix()}", file
