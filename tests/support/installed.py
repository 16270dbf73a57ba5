"""What a distribution brings with it, as it is installed here."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def files_of(requirements: Iterable[str], *, besides: str) -> set[str]:
    """What these ask for, directly or not, has these files and folders in site-packages; not those of `besides`."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(each) for each in requirements]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *sorted(wanted.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            asked = [Requirement(each) for each in _installed(name).requires or ()]
            waiting += [each for each in asked if each.marker is None or each.marker.evaluate({"extra": extra})]
        if name != besides:
            found |= {file.parts[0] for file in _installed(name).files or ()}
    return found - {"..", "__pycache__"}


def _installed(name: str) -> Distribution:
    # Only there: a build leaves a folder of metadata in the checkout, which nobody renews.
    for found in distributions(name=name, path=[sysconfig.get_path("purelib")]):
        return found
    raise PackageNotFoundError(name)
