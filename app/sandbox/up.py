"""`make up`: embedded services and a worker until Ctrl-C, with their addresses in `var/sandbox.json`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

from app.sandbox import Sandbox
from app.sandbox.serving import tell, until_stopped
from app.sandbox.worker_process import WorkerProcess
from app.settings import Settings, in_file

ADDRESSES: Final = Path("var/sandbox.json")
#: Settings that the worker's command line says.
_BY_THE_WORKER: Final = ("DATADIR", "WEB_PORT")


def main() -> int:
    """Run until Ctrl-C or SIGTERM; returns the exit code."""
    return until_stopped("make up", __doc__, Path("var/up"), ADDRESSES, _serve)


def chosen_settings(environment: Mapping[str, str], sandbox: Mapping[str, str]) -> Mapping[str, str]:
    """The settings of the environment and `.env` that hold for the worker here; says which ones do not."""
    ours = {name.upper() for name in Settings.model_fields}
    given = {name.upper(): value for name, value in [*in_file().items(), *environment.items()]}
    settings = {name: value for name, value in given.items() if name in ours}
    fixed = sorted(name for name in settings if name in {*sandbox, *_BY_THE_WORKER} or name.startswith("KAFKA_"))
    if fixed:
        print(f"innervate: not used here, the sandbox has its own: {', '.join(fixed)}", file=sys.stderr)
    return {name: value for name, value in settings.items() if name not in fixed}


def told(addresses: Mapping[str, str], log: Path) -> str:
    """What stands on the screen while everything runs: the page first, then how to give it something to show."""
    innervate = Path(sys.executable).with_name("innervate")
    if innervate.is_relative_to(Path.cwd()):
        innervate = innervate.relative_to(Path.cwd())
    lines = [
        f"the page       {addresses['web_url']}/ui/",
        f"to fill it     KAFKA_BROKER={addresses['kafka']} {innervate} simulate --orders 200 --failures 40",
        "",
        *(f"{name:14} {value}" for name, value in addresses.items()),
        f"worker log     {log}",
        f"addresses      {ADDRESSES}",
        "Ctrl-C stops everything",
    ]
    return "\n".join(lines)


def _serve(sandbox: Sandbox) -> int:
    settings = chosen_settings(os.environ, sandbox.worker_environment())
    worker = WorkerProcess(sandbox, Path("var/up/worker").absolute(), settings)
    try:
        worker.start()
        addresses = {
            "kafka": sandbox.kafka,
            "provider": sandbox.provider,
            "database_url": sandbox.database_url,
            "web_url": worker.url,
        }
        tell(ADDRESSES, orjson.dumps(addresses, option=orjson.OPT_INDENT_2) + b"\n")
        print(told(addresses, worker.log_path), flush=True)
        worker.wait()
        print(f"innervate: the worker ended; see {worker.log_path}", file=sys.stderr)
        return 1
    finally:
        worker.release()


if __name__ == "__main__":
    sys.exit(main())
