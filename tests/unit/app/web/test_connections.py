"""Connections of the HTTP interface: who has to go, and who stays."""

from __future__ import annotations

from typing import Any, cast

import pytest

from app.web.connections import Connections, Limits


class Wire:
    """What a transport says of itself."""

    def __init__(self, client: str, unread: int = 0) -> None:
        self._client, self._unread = client, unread
        self.is_open = True

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return self._client, 50_000

    def get_write_buffer_size(self) -> int:
        return self._unread

    def is_closing(self) -> bool:
        return not self.is_open

    def abort(self) -> None:
        self.is_open = False


def connected(connections: Connections, *clients: str, unread: int = 0) -> list[Wire]:
    """One connection of each client, in this order; the wire is its protocol too."""
    wires = [Wire(client, unread) for client in clients]
    for wire in wires:
        connections.add(wire, cast("Any", wire))
    return wires


def still_open(wires: list[Wire]) -> list[bool]:
    return [wire.is_open for wire in wires]


def test_the_one_that_has_waited_longest_makes_room() -> None:
    connections = Connections(Limits())
    wires = connected(connections, "a", "a", "a")
    assert connections.make_room()
    assert still_open(wires) == [False, True, True]
    assert len(connections) == 2


def test_it_is_one_of_the_client_that_has_most() -> None:
    connections = Connections(Limits())
    wires = connected(connections, "quiet", "flood", "flood", "other")
    connections.make_room()
    assert still_open(wires) == [True, False, True, True]


def test_a_request_at_work_is_never_closed_for_another() -> None:
    connections = Connections(Limits(waiting_seconds=-1))
    [wire] = connected(connections, "a")
    with connections.at_work(wire, counted=True):
        assert not connections.make_room()
        connections.close_overdue()
        assert wire.is_open
    assert connections.make_room()


def test_who_waits_too_long_is_closed_and_who_takes_a_response_has_longer() -> None:
    connections = Connections(Limits(waiting_seconds=-1, taking_seconds=3600))
    silent, reading = connected(connections, "a"), connected(connections, "b", unread=1)
    connections.close_overdue()
    assert (still_open(silent), still_open(reading)) == ([False], [True])


def test_a_response_that_nobody_takes_is_given_up() -> None:
    connections = Connections(Limits(waiting_seconds=3600, taking_seconds=-1))
    silent, reading = connected(connections, "a"), connected(connections, "b", unread=1)
    connections.close_overdue()
    assert (still_open(silent), still_open(reading)) == ([True], [False])


@pytest.mark.parametrize(("counted", "full"), [(True, True), (False, False)])
def test_requests_at_work_are_counted_and_health_is_not(counted: bool, full: bool) -> None:
    connections = Connections(Limits(requests=1))
    with connections.at_work(object(), counted=counted):
        assert connections.is_full is full
    assert not connections.is_full


def test_streams_are_bounded_by_themselves_and_take_no_place_of_a_request() -> None:
    connections = Connections(Limits(streams=1, requests=1, waiting_seconds=-1))
    stream, request = connected(connections, "a", "b")
    with connections.streaming(stream):
        assert not connections.has_place_for_a_stream
        assert not connections.is_full
        with connections.at_work(request, counted=True):
            assert connections.is_full
        assert connections.make_room()
        connections.close_overdue()
        assert still_open([stream, request]) == [True, False]
    assert connections.has_place_for_a_stream
