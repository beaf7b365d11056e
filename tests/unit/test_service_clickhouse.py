"""Why ClickHouse does not answer is one short sentence, the same at every try."""

from __future__ import annotations

import socket
import threading

import pytest

from controlplane.service.clickhouse import query_of


def said(address: str) -> str:
    with pytest.raises(OSError, match="ClickHouse does not answer: ") as caught:
        query_of(address)("SELECT 1")
    return str(caught.value)


def test_a_refused_connection_is_called_so() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert said(f"http://127.0.0.1:{port}") == "ClickHouse does not answer: Connection refused"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", id="half-an-answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha", id="half-a-chunk"),
        pytest.param(b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops", id="an-error"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\noops", id="nonsense"),
    ],
)
def test_an_answer_that_is_cut_off_is_no_answer(answer: bytes) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def answers() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=answers, daemon=True).start()
        said(f"http://127.0.0.1:{server.getsockname()[1]}")
        server.shutdown(socket.SHUT_RDWR)
