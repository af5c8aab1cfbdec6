"""What listens on this machine's loopback, for pods: they reach the machine by another address."""

from __future__ import annotations

import contextlib
import socket
import threading


class Forward:
    """Passes connections on to a port of the loopback, as long as it is open.

    Args:
        address: of this machine, where pods reach it.
        target: the port at 127.0.0.1.

    Attributes:
        port: at the address.
    """

    def __init__(self, address: str, target: int) -> None:
        self._target = ("127.0.0.1", target)
        self._listener = socket.create_server((address, 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections. Those that are open end when a side closes them."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:  # the server is away: so the client sees it
                client.close()
                continue
            ends = _Ends(client, server)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=ends.pass_on, args=(source, target), daemon=True).start()


class _Ends:
    """Two sockets that are closed when neither direction has more to say."""

    def __init__(self, *sockets: socket.socket) -> None:
        self._sockets = sockets
        self._open = len(sockets)
        self._lock = threading.Lock()

    def pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        with self._lock:
            self._open -= 1
            last = self._open == 0
        if last:
            for one in self._sockets:
                one.close()
