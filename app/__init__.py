"""The composition root: everything is put together here, and nothing imports this package.

`faust -A app` asks for the attribute `app`. It is built at that moment and not at import, so that the sandbox and the
tests can use the other modules of this package without any settings.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.worker.application import Innervate

    app: Innervate


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'app' has no attribute {name!r}")
    from app.composition import create_app  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415
    from app.telemetry.logs.known import secrets_in  # noqa: PLC0415
    from app.telemetry.logs.records import log_safely  # noqa: PLC0415 - see above

    log_safely(secrets_in({}, os.environ))
    settings = load_settings(sys.argv[1:])
    log_safely(secrets_in(dict(settings), os.environ), shows_payloads=settings.log_payloads)
    globals()["app"] = built = create_app(settings)
    return built
