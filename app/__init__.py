"""The composition root: everything is put together here, and nothing imports this package.

`faust -A app` asks for the attribute `app`. It is built at that moment and not at import, so that the sandbox and the
tests can use the other modules of this package without any settings.
"""

from __future__ import annotations

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
    from app.worker.logs import log_safely  # noqa: PLC0415 - see above

    log_safely()
    globals()["app"] = built = create_app(load_settings(sys.argv[1:]))
    return built
