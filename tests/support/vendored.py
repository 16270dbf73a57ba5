"""What others wrote and we ship: scripts, styles, a schema, each with checksum, origin and licence.

`vendored.json` in a folder names packages, the versions wanted of them, and what is taken. `make vendor` renews all
folders by npm's own client: change a `version` there and run it. A version whose archive is another one than was
recorded is refused, as is a file that is not in it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from waiting import PATIENCE_SECONDS

ROOT: Final = Path(__file__).parents[2]
#: What the page serves, what tests of it use beside, and what tests hold documents to.
FOLDERS: Final = (
    ROOT / "app/page/static/vendor",
    ROOT / "tests/browser/vendor",
    ROOT / "tests/unit/app/operators/vendor",
)
MANIFEST: Final = "vendored.json"

Manifest = list[dict[str, Any]]


def manifest(folder: Path) -> Manifest:
    """The packages of a folder: `package`, `version`, `licence`, `integrity` of the archive, and `files`.

    A file is its name here, with the `path` in the package and its `sha256`.
    """
    read: Manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return read


def wrong_in(folder: Path) -> list[str]:
    """What is not as the manifest says, one line each: a file that is another, missing, or known to no package."""
    listed = {name: file["sha256"] for package in manifest(folder) for name, file in package["files"].items()}
    there = {file.name: file for file in folder.iterdir() if file.name != MANIFEST}
    return [
        *(f"{name}: in no package" for name in sorted(there.keys() - listed.keys())),
        *(f"{name}: missing" for name in sorted(listed.keys() - there.keys())),
        *(f"{name}: changed" for name in sorted(there.keys() & listed.keys()) if digest(there[name]) != listed[name]),
    ]


def digest(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return sha256(file.read_bytes()).hexdigest()


def renew(folder: Path) -> None:
    """Fetch every package of the folder again, in the version its manifest says, and write down what came."""
    packages = manifest(folder)
    for package in packages:
        with tempfile.TemporaryDirectory() as scratch:
            _take(package, folder, Path(scratch))
    text = json.dumps(packages, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _take(package: dict[str, Any], folder: Path, scratch: Path) -> None:
    wanted = f"{package['package']}@{package['version']}"
    packed = subprocess.run(
        ["npm", "pack", "--json", "--pack-destination", str(scratch), wanted],
        stdout=subprocess.PIPE,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    [told] = json.loads(packed.stdout)
    recorded = package.get("integrity", {}).get(package["version"])
    if recorded not in {None, told["integrity"]}:
        raise SystemExit(f"{wanted} is not what it was: {told['integrity']}, not {recorded}")
    package["integrity"] = {package["version"]: told["integrity"]}
    with tarfile.open(scratch / told["filename"]) as archive:
        archive.extractall(scratch, filter="data")
    package["licence"] = json.loads((scratch / "package/package.json").read_text(encoding="utf-8"))["license"]
    for name, file in package["files"].items():
        shutil.copyfile(scratch / "package" / file["path"], folder / name)
        file["sha256"] = digest(folder / name)


if __name__ == "__main__":
    for each in FOLDERS:
        renew(each)
        sys.stdout.write(f"renewed {each.relative_to(ROOT)}\n")
