"""Serving until Ctrl-C: what `make up` and `make services` share, from the arguments to the exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from app.sandbox import PROVIDERS, Sandbox, SandboxError
from app.settings import refuse_misspelt
from app.worker.signals import end_in_order


def until_stopped(program: str, description: str, directory: Path, told_in: Path, run: Callable[[Sandbox], int]) -> int:
    """Start the services, run until Ctrl-C or SIGTERM, and leave nothing behind; returns the exit code.

    Their data lie in `directory`. `told_in` is the file in which `run` says where they are: it is there while they are.
    """
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--provider", choices=sorted(PROVIDERS), default="tansu", help="which Kafka broker")
    arguments = parser.parse_args()
    refuse_misspelt()
    end_in_order()
    try:
        with Sandbox(directory, arguments.provider) as sandbox:
            return run(sandbox)
    except SandboxError as error:
        print(f"innervate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        told_in.unlink(missing_ok=True)


def tell(told_in: Path, content: bytes) -> None:
    """Write the file at once: whoever waits for it must never read half of it."""
    unfinished = told_in.with_suffix(".tmp")
    unfinished.write_bytes(content)
    unfinished.rename(told_in)
