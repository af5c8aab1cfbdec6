"""The HTTP side: a thread per connection, answers in one piece, watches as chunks."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .faults import Asked, Fault
from .paths import Address, address_of
from .selectors import Selects, selector
from .store import Json, Refusal

Answer = Json | str
BOOKMARK_S = 1.0
TURN_S = 0.2
"""How often a watch without news looks whether it is to end."""


class Connection(BaseHTTPRequestHandler):
    """Serves one connection's requests. `api` is set by ``Server``."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: Any
    server: Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.api.token is not None and self.headers.get("Authorization") != f"Bearer {self.api.token}":
                raise Refusal(401, "Unauthorized", "Unauthorized")
            if self.path == "/version":
                self._send(200, {"major": "1", "minor": "34", "gitVersion": "v1.34.4"})
                return
            address = address_of(self.command, self.path)
            self._answer(address, json.loads(body) if body else {})
        except Refusal as refusal:
            self._send(refusal.code, refusal.status(), refusal.retry_after)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _answer(self, address: Address, body: Json) -> None:
        cached = address.verb == "list" and address.query.get("resourceVersion") == "0"
        asked = Asked(address.verb, address.resource, address.name or body.get("metadata", {}).get("name", ""), cached)
        lost = False
        for fault in self.api.faults.meet(asked):
            if not self._suffer(fault):
                return
            lost = lost or fault.lose_answer
        self.api.check_role(address)
        if address.verb == "watch":
            self._watch(address)
            return
        code, answer = self.api.answer(address, body)
        if lost:
            self._cut()
        else:
            self._send(code, answer)

    def _suffer(self, fault: Fault) -> bool:
        """Whether there is an answer at all."""
        if fault.latency_s:
            time.sleep(fault.latency_s)
        if fault.hang:
            while not fault.over.wait(TURN_S) and not self.server.closing.is_set():
                pass
            self._cut()
            return False
        if fault.status is not None:
            raise Refusal(fault.status, fault.reason, f"made to fail with {fault.status}", fault.retry_after)
        return True

    def _cut(self) -> None:
        self.close_connection = True
        _cut(self.connection)

    def _send(self, code: int, answer: Answer, retry_after: int | None = None) -> None:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        data = text.encode()
        kind = "text/plain" if isinstance(answer, str) else "application/json"
        head = [f"HTTP/1.1 {code} {self.responses.get(code, ('',))[0]}", f"Content-Type: {kind}"]
        head += [f"Content-Length: {len(data)}", *([f"Retry-After: {retry_after}"] if retry_after is not None else [])]
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + data)

    # Watches ------------------------------------------------------------------------------------------------------------------

    def _watch(self, address: Address) -> None:
        selects = selector(address.query.get("labelSelector", ""), address.query.get("fieldSelector", ""))
        version = int(address.query.get("resourceVersion") or 0)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.api.faults.watch_opened()
        try:
            if version == 0:
                version = self._all_as_added(address, selects)
            self._follow(address, selects, version)
            self.wfile.write(b"0\r\n\r\n")
        except Refusal as refusal:
            self._chunk(json.dumps({"type": "ERROR", "object": refusal.status()}).encode() + b"\n")
            self.wfile.write(b"0\r\n\r\n")
        finally:
            self.api.faults.watch_closed()

    def _all_as_added(self, address: Address, selects: Selects) -> int:
        objects, version = self.api.store.all(address.resource, address.namespace)
        for found in filter(selects, objects):
            self._chunk(json.dumps({"type": "ADDED", "object": found}).encode() + b"\n")
        return int(version)

    def _follow(self, address: Address, selects: Selects, version: int) -> None:
        api, began = self.api, time.monotonic()
        limit = began + float(address.query.get("timeoutSeconds") or 300)
        bookmarks = address.query.get("allowWatchBookmarks") in ("true", "True", "1")
        cuts, said = api.faults.cuts, began
        while time.monotonic() < limit and not self.server.closing.is_set():
            if api.faults.cuts != cuts:
                self._cut()
                return
            if api.faults.frozen.is_set():
                time.sleep(TURN_S)
                continue
            now = api.store.version
            for change in api.store.since(address.resource, version):
                version = max(version, change.version)
                if address.namespace in (None, change.object["metadata"].get("namespace")) and selects(change.object):
                    self._chunk(change.text)
            version = max(version, now)
            if bookmarks and time.monotonic() - said > api.bookmark_s:
                said = time.monotonic()
                self._bookmark(address, version)
            api.store.wait(version, TURN_S)

    def _bookmark(self, address: Address, version: int) -> None:
        mark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}
        self._chunk(json.dumps(mark).encode() + b"\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Nothing: what was asked is in ``Faults.log``."""


class Server(ThreadingHTTPServer):
    """Listens on a free port of the loopback address."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, api: Any, port: int = 0) -> None:
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._open: set[Any] = set()
        handler: Callable[..., BaseHTTPRequestHandler] = type("ConnectionOfApi", (Connection,), {"api": api})
        super().__init__(("127.0.0.1", port), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A new connection."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """A connection is over."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def end(self) -> None:
        """Listen no more, and cut what is open."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                _cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is no error of ours."""


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster
