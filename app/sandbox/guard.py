"""The guard of one sandbox service: a script that runs it, passes signals on, and outlives the owner.

Its standard input is the owner's hold on the service. The guard never imports the package it lies in, so it
starts in a few hundredths of a second; only the standard library may be imported here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading

_LAST_WORDS_TIMEOUT_SECONDS = 10.0


def guard(release_signal: int, directory: str, account: tuple[int, int] | None, command: list[str]) -> int:
    """Run ``command`` until it ends; return its status as a shell would.

    Each byte read from standard input is a signal for the service. The end of the input means that nobody
    needs it any more: it gets ``release_signal``, is killed when that does not help, and its directory goes.
    """
    user, group = account or (None, None)
    service = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        user=user,
        group=group,
        extra_groups=None if account is None else [],
        start_new_session=True,
    )
    released = threading.Event()

    def obey() -> None:
        while numbers := os.read(0, 16):
            for number in numbers:
                service.send_signal(number)
        released.set()
        service.send_signal(release_signal)
        try:
            service.wait(_LAST_WORDS_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            service.kill()

    threading.Thread(target=obey, daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # The owner is gone already; the thread above sees it too.
        os.write(1, b"%d\n" % service.pid)
    status = service.wait()
    if released.is_set():
        shutil.rmtree(directory, ignore_errors=True)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    _number, _directory, _user, _group, *_command = sys.argv[1:]
    sys.exit(guard(int(_number), _directory, (int(_user), int(_group)) if _user else None, _command))
