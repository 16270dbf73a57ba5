"""`make services`: Kafka and PostgreSQL alone until Ctrl-C, and the environment that points a worker at them.

The environment is printed and stands in `var/services.env`, as lines for a shell:

    . var/services.env && innervate worker -l info
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app.sandbox import Sandbox
from app.sandbox.serving import tell, until_stopped

ENVIRONMENT: Final = Path("var/services.env")
_LOOK_SECONDS: Final = 0.5


def main() -> int:
    """Run until Ctrl-C or SIGTERM; returns the exit code, 1 when a service ended by itself."""
    return until_stopped("make services", __doc__, Path("var/services"), ENVIRONMENT, _serve)


def exports(environment: Mapping[str, str]) -> str:
    """The variables as lines that a POSIX shell can source, whatever their values."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())


def _serve(sandbox: Sandbox) -> int:
    lines = exports(sandbox.worker_environment())
    tell(ENVIRONMENT, lines.encode())
    # Comments, so that what is printed can be sourced as a whole.
    print(f"{lines}# the same lines: {ENVIRONMENT}; Ctrl-C stops both services", flush=True)
    services = (sandbox.broker, sandbox.postgres)
    while all(service.is_running for service in services):
        time.sleep(_LOOK_SECONDS)
    ended = ", ".join(service.name for service in services if not service.is_running)
    print(f"innervate: {ended} ended", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
