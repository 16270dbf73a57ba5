"""The environment that `make services` prints is one for every POSIX shell."""

from __future__ import annotations

import subprocess

from waiting import PATIENCE_SECONDS

from app.sandbox.services import exports


def test_a_shell_that_sources_the_lines_has_the_values_to_the_letter() -> None:
    values = {"PLAIN": "127.0.0.1:9092", "ODD": "a b'c\"$HOME `id` \\ ; # &", "EMPTY": ""}

    shell = subprocess.run(
        ["sh", "-c", f'{exports(values)}printf "%s\\0" "$PLAIN" "$ODD" "$EMPTY"'],
        env={"HOME": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )

    assert shell.stdout.split("\0")[:-1] == list(values.values())
    assert exports({"KAFKA_BROKER": "127.0.0.1:9092"}) == "export KAFKA_BROKER=127.0.0.1:9092\n"
