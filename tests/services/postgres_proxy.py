"""Stands between a client and a Postgres, and does to their messages what a test wants: by default nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from urllib.parse import urlsplit


class PostgresProxy:
    """Passes bytes on in both directions; a test's proxy derives from it.

    Args:
        url: of the server.

    Attributes:
        url: the same database, through this proxy.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "localhost", parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def from_client(self, data: bytes) -> Iterable[bytes]:
        """What the server gets, piece by piece, of what the client sent. ConnectionAbortedError ends the connection."""
        yield data

    def from_server(self, data: bytes) -> Iterable[bytes]:
        """The same in the other direction."""
        yield data

    def close(self) -> None:
        """Take no more connections. Those that are open end when a side closes them."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pumps = [
                threading.Thread(target=self._pump, args=(client, server, False), daemon=True),
                threading.Thread(target=self._pump, args=(server, client, True), daemon=True),
            ]
            for pump in pumps:
                pump.start()
            self._threads += pumps

    def _pump(self, source: socket.socket, target: socket.socket, replies: bool) -> None:
        try:
            while data := source.recv(65536):
                for piece in self.from_server(data) if replies else self.from_client(data):
                    target.sendall(piece)
        except OSError:
            # The other direction closed both, or a test ends the connection: this one ends too.
            pass
        finally:
            for one in (source, target):
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            if replies:
                source.close()
                target.close()
