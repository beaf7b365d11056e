"""A port that is picked now is still there when its part listens, half a minute later."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from controlplane.up.checks import free_port, is_free

_CONNECTIONS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_no_port_is_picked_twice() -> None:
    picked = [free_port() for _ in range(200)]
    assert len(set(picked)) == len(picked)
    assert all(map(is_free, picked[-5:]))


def test_what_listens_is_not_picked() -> None:
    port = free_port() + 1
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert free_port() != port


@pytest.mark.skipif(not _CONNECTIONS.exists(), reason="this system does not say which ports it gives to connections")
def test_no_connection_is_given_a_port_that_was_picked() -> None:
    first, last = map(int, _CONNECTIONS.read_text().split())
    if first <= 10_000:
        pytest.skip("this system gives all of them to connections")
    assert not first <= free_port() <= last
