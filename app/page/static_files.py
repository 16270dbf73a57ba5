"""Static files: scripts, styles and icons of the page, from memory, each under an address that names its content.

An address with the right digest may be kept for ever; another digest gets what there is (a worker of another version
may have rendered the page) and has to ask again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from aiohttp import web

from app.page.security import ALWAYS

#: Where the files lie.
FOLDER: Final = Path(__file__).parent / "static"
#: Where they are served: digest, then path.
PREFIX: Final = "/ui/static"

_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
#: Characters of a digest: 64 bits tell the versions of one file apart.
_DIGEST: Final = 16
_KEPT: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    content_type: str
    digest: str


class StaticFiles:
    """The files of a folder that browsers ask for; read once, and nothing beside them can be asked for."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): _read(path)
            for path in sorted(folder.rglob("*"))
            if path.suffix in _TYPES
        }

    def address(self, path: str) -> str:
        """Where a file is asked for. Raises `KeyError` for one that is not there: a template is wrong."""
        return f"{PREFIX}/{self._files[path].digest}/{path}"

    async def answer(self, request: web.Request, digest: str, path: str) -> web.Response:
        """The file; 304 when the browser has it."""
        file = self._files.get(str(PurePosixPath(path)))
        if file is None:
            raise web.HTTPNotFound(reason="no such file")
        tag = f'"{file.digest}"'
        kept = _KEPT if digest == file.digest else "no-cache"
        headers = {**ALWAYS, "ETag": tag, "Cache-Control": kept}
        if any(each.value in {file.digest, "*"} for each in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)


def _read(path: Path) -> _File:
    body = path.read_bytes()
    return _File(body, _TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:_DIGEST])
