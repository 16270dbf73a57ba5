"""TLS towards Kafka: who is trusted there, and the certificate that is shown.

The name of the broker is always checked. A certificate that is renewed in its files is shown from the next connection
on: certificates of a day are renewed many times in the life of a worker. New certificate authorities need a new start.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

log = logging.getLogger(__name__)

#: Where in Python's own source an error is from.
_PLACE: Final = re.compile(r"\[SSL\] | \(_ssl\.c:\d+\)")


class ClientTls(ssl.SSLContext):
    """A context of clients that shows the newest certificate its files hold.

    `certfile` may hold the key as well. Raises OSError (`ssl.SSLError` is one) for files that cannot be used.
    """

    def __new__(cls, **_files: object) -> Self:
        """The protocol is chosen here: it takes no other way in."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(
        self,
        *,
        cafile: Path | None = None,
        certfile: Path | None = None,
        keyfile: Path | None = None,
        password: str = "",
    ) -> None:
        """Read the files; without `cafile` the system's authorities are trusted."""
        if cafile is None:
            self.load_default_certs()
        else:
            self.load_verify_locations(cafile)
        self._certfile, self._keyfile, self._password = certfile, keyfile, password
        self._seen = self._look()
        self._load()

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """What asyncio begins each connection with."""
        try:
            if (found := self._look()) != self._seen:
                self._load()
                self._seen = found
        except OSError as error:
            # Half of a pair, perhaps: the one before may still do.
            log.warning("the certificate for Kafka was changed and cannot be used: %s", said(error))
        return super().wrap_bio(*arguments, **options)

    def _load(self) -> None:
        if self._certfile is not None:
            # Tried apart: what fails would leave this context with the certificate of one and the key of the other.
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self):
                # Without a password OpenSSL would ask for one on the terminal.
                context.load_cert_chain(self._certfile, self._keyfile, self._password)

    def _look(self) -> Sequence[tuple[int, int, int]]:
        stats = [file.stat() for file in (self._certfile, self._keyfile) if file is not None]
        return [(stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats]


def said(error: OSError) -> str:
    """What OpenSSL or the system says is wrong, in short."""
    reason = error.reason if isinstance(error, ssl.SSLError) else ""
    return reason or _PLACE.sub("", error.strerror or str(error))
