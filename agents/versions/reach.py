"""Reach: the modules that rules are made of, found by what their source imports, and the libraries those use.

Followed are the modules of a domain: those in the packages its rules stand in, others of the same distribution, and
those of no distribution (a file beside it). What Innervate brings itself is told by its release, another library by its
version, Python's own modules by Python's. Read are the sources as they lie there when it is asked. Not seen is what no
import statement names: modules imported by a computed name, files of data, the environment.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Final

from agents.versions.syntax import canonical

#: Innervate itself, as far as it is no domain.
INNERVATE: Final = (
    "agents.brains",
    "agents.engine",
    "agents.model",
    "agents.replay",
    "agents.versions",
    "app",
    "outbox",
    "tables",
)


@dataclass(frozen=True, slots=True)
class Reach:
    """What some modules are made of."""

    #: SHA-256 of each module's source, without its layout, by its name; in their order.
    sources: Mapping[str, str]
    #: Versions by the names of distributions, in their order.
    libraries: Mapping[str, str]


def reach(roots: Iterable[str]) -> Reach:
    """What the modules of these names and all they import are made of. A module without a source says nothing."""
    waiting = sorted(set(roots))
    homes = frozenset({"agents", *(name.partition(".")[0] for name in waiting)})
    sources: dict[str, str] = {}
    libraries: set[str] = set()
    seen: set[str] = set()
    while waiting:
        named = waiting.pop()
        base = named.partition(":")[0]
        if named in seen or _is_known_otherwise(base):
            continue
        seen.add(named)
        owners = _owners(base, homes)
        libraries.update(owners)
        name = _module_of(named)
        if owners or name in sources:
            continue
        module = _read(name)
        if module is not None:
            sources[name] = module.sha256
            waiting += module.imports
    return Reach(dict(sorted(sources.items())), {name: version(name) for name in sorted(libraries)})


def _is_known_otherwise(name: str) -> bool:
    """Whether it comes with Python or with Innervate."""
    if name.partition(".")[0] in sys.stdlib_module_names or name == "agents":
        return True
    return any(name == each or name.startswith(f"{each}.") for each in INNERVATE)


def _owners(name: str, homes: Collection[str]) -> Collection[str]:
    """The distributions of a library; none for a module of the domain itself, or of nobody.

    What the domain's own distribution brings beside its package is the domain's, as it is in a checkout.
    """
    top = name.partition(".")[0]
    if top in homes:
        return ()
    found = frozenset(_distributions().get(top, ()))
    own = frozenset(each for home in homes for each in _distributions().get(home, ()))
    return () if found & own else found


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, Sequence[str]]:
    return packages_distributions()


@dataclass(frozen=True, slots=True)
class _Module:
    sha256: str
    #: What it imports: `module`, or `module:name`, which may be a module of that name within it.
    imports: Sequence[str]


@lru_cache(maxsize=4096)
def _read(name: str) -> _Module | None:
    """The module as it lies there; None when there is none, or nothing of it to read. Read once per process."""
    spec = _spec(name)
    if spec is None:
        return None
    source = _source(spec)
    if source is None:
        try:
            content = Path(spec.origin or "").read_bytes()
        except OSError:
            return None
        return _Module(hashlib.sha256(content).hexdigest(), ())
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        # What Python alone can read, such as an expression of thousands of terms, is told by its text.
        return _Module(hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest(), ())
    is_package = spec.submodule_search_locations is not None
    package = name if is_package else name.rpartition(".")[0]
    return _Module(hashlib.sha256(canonical(tree)).hexdigest(), tuple(dict.fromkeys(_imports(tree, package))))


def _spec(name: str) -> ModuleSpec | None:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is not None or name in sys.modules:
        return spec
    try:
        return importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None


def _source(spec: ModuleSpec) -> str | None:
    read = getattr(spec.loader, "get_source", None)
    if read is None:
        return None
    try:
        found = read(spec.name)
    except (ImportError, OSError, SyntaxError, UnicodeDecodeError):
        return None
    return found if isinstance(found, str) else None


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Everything that import statements name, wherever they stand, but what only a type checker reads."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                if alias.asname is None:
                    # Binds the first of them, whose attributes can be used.
                    yield from _parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            yield from _from(node, package)
        elif isinstance(node, ast.If) and _is_for_types(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


def _from(node: ast.ImportFrom, package: str) -> Iterator[str]:
    try:
        base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
    except ImportError:
        return
    yield from (base if alias.name == "*" else f"{base}:{alias.name}" for alias in node.names)


def _module_of(named: str) -> str:
    """The module that is read for `module` or `module:name`."""
    base, _, name = named.partition(":")
    if not name:
        return base
    loaded, inner = sys.modules.get(base), f"{base}.{name}"
    if loaded is not None and hasattr(loaded, name):
        return inner if getattr(loaded, name) is sys.modules.get(inner, loaded) else base
    return base if _spec(inner) is None else inner


def _is_for_types(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"
