"""A lock or a lease is deleted by one request at most: a second one could delete that of the next holder."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import parse_headers

import pytest

from handler.core.cloud.http_client import Connections
from handler.core.cloud.lease import Lease
from handler.core.cloud.oss import OssClient, StoreError
from handler.core.cloud.store import Store, store_at
from handler.core.config import Location
from handler.core.context import Clock
from signer import Endpoint
from tests.handler.client import KEYS

DATE = b"Date: Fri, 15 Jan 2027 08:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
CREATED, DELETED = b"HTTP/1.1 200 OK\r\n" + DATE, b"HTTP/1.1 204 No Content\r\n" + DATE


class Server:
    """It carries out every request, but answers only the first ones of each connection, and then closes it."""

    def __init__(self) -> None:
        self.received: list[tuple[int, str]] = []  # the number of the connection, and the method
        self.answered: dict[int, int] = {}  # how many requests of a connection are answered, always without an entry

    def serve(self, listening: socket.socket) -> None:
        number = 0
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection, number), daemon=True).start()
            number += 1

    def _converse(self, connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as file, suppress(ConnectionError):
            left = self.answered.get(number, 100)
            while line := file.readline():
                method = line.partition(b" ")[0].decode()
                file.read(int(parse_headers(file).get("Content-Length", "0")))
                self.received.append((number, method))
                if not left:
                    return
                left -= 1
                connection.sendall(DELETED if method == "DELETE" else CREATED)


@contextmanager
def serving(server: Server) -> Iterator[Store]:
    """A store at this server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=server.serve, args=[listening], daemon=True).start()
        endpoint = Endpoint.path_style(f"http://127.0.0.1:{listening.getsockname()[1]}", "cn-hangzhou")
        connections = Connections()
        yield store_at(OssClient(KEYS, endpoint, connections), Location("examplebucket", ".links/keys.json"), Clock())
        connections.close()
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("answered", [1, 0])
def test_it_never_uses_a_connection_that_may_be_stale_and_is_not_sent_again(answered: int) -> None:
    server = Server()
    server.answered = {0: 1, 1: answered}
    with serving(server) as store:
        store.ask_time("")
        if answered:
            store.delete(".lock.1", retry=False)
        else:
            with pytest.raises(StoreError):
                store.delete(".lock.1", retry=False)
    assert server.received == [(0, "HEAD"), (1, "DELETE")]


@pytest.mark.parametrize("answered", [100, 0])
def test_a_lease_is_released_by_one_request_for_each_slot(answered: int) -> None:
    server = Server()
    server.answered = {1: answered, 2: answered}
    with serving(server) as store:
        store.ask_time("")
        lease = Lease(store, ".lock.", 120, 121.0, b"ours")
        assert lease.acquire()
        assert lease.has_time()
        assert lease.release() is bool(answered)
    assert [method for _, method in server.received] == ["HEAD", "PUT", "PUT", "DELETE", "DELETE"]
