"""Which addresses are this machine's alone."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from app.web.addresses import close, is_loopback, is_private, listen, listen_at_path


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::1%lo"])
def test_loopback_is_this_machine_s_alone(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "::", "::ffff:0.0.0.0", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "128.0.0.1", "", "0", "127.1",
     "localhost", "2130706433", " 127.0.0.1"],
)  # fmt: skip
def test_nothing_else_is(address: str) -> None:
    assert not is_loopback(address)


@pytest.mark.parametrize(
    ("name", "private"),
    [
        (("127.0.0.1", 6066), True),
        (("::1", 6066, 0, 0), True),
        (("0.0.0.0", 6066), False),
        (("::", 6066, 0, 0), False),
        ("/run/innervate.sock", False),
        ("", False),
        (b"\0abstract", False),
        (None, False),
    ],
)
def test_a_socket_is_judged_by_the_address_it_is_bound_to(name: object, private: bool) -> None:
    assert is_private(name) is private


@pytest.mark.parametrize(
    ("host", "private"),
    [("127.0.0.1", True), ("localhost", True), ("127.0.0.2", True), ("0.0.0.0", False), ("", False), ("0", False)],
)
async def test_what_a_host_means_is_seen_when_it_is_bound(host: str, private: bool) -> None:
    sockets = await listen(host, 0)
    try:
        assert all(is_private(each.getsockname()) for each in sockets) is private
    finally:
        close(sockets)


async def test_a_port_that_is_taken_is_an_error_and_nothing_is_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError, match="in use"):
        await listen("127.0.0.1", other.getsockname()[1])


def test_a_unix_socket_that_was_left_behind_is_replaced_and_another_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "http"
    left_behind = listen_at_path(str(path))
    again = listen_at_path(str(path))
    left_behind.close()
    assert path.is_socket()
    close([again])
    assert not path.exists()
    file = tmp_path / "file"
    file.write_text("kept")
    with pytest.raises(OSError, match="in use"):
        listen_at_path(str(file))
    assert file.read_text() == "kept"
