"""Keeps up with one kind of object: one list, then one watch, and what to do when that breaks.

- 410: the version is too old; list again, consistently.
- Nothing came for a while, not even a bookmark: open it anew at the version that was seen last.
- No answer: again, after a pause that grows; ``Retry-After`` is obeyed.
- The role has no ``watch``: lists from the API server's cache, some seconds apart.
- Now and then a list all the same, in case the watch was deaf.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Protocol

from .client import Json, KubeClient, Listing, WatchStream
from .errors import KubeError, KubeExpiredError, KubeForbiddenError, KubeUnavailableError


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds.

    Attributes:
        watch_s: how long one watch is kept open.
        stall_s: how long one may be silent.
        resync_s: between two lists while a watch goes well.
        list_s: between two lists where there is no watch.
        first_pause_s, longest_away_s: between two tries while there is no answer. Short: by the first answer all that waits goes on.
        refused_s: after an error that will not pass by itself.
    """

    watch_s: float = 290.0
    stall_s: float = 25.0
    resync_s: float = 300.0
    list_s: float = 10.0
    first_pause_s: float = 0.5
    longest_away_s: float = 5.0
    refused_s: float = 15.0


class Sink(Protocol):
    """Who is told what is there."""

    def replace(self, resource: str, listing: Listing) -> None:
        """This is all that there is."""

    def take(self, resource: str, kind: str, found: Json) -> None:
        """This has changed."""

    def trouble(self, resource: str, error: KubeError | None) -> None:
        """It can not be kept up with now, or (None) it can again."""


class Follower:
    """A thread that keeps up with one resource.

    Args:
        client: the cluster.
        resource: ``jobs`` or ``pods``.
        namespace, selector: which ones.
        sink: who is told, from this thread.
        pace: how patient it is.
    """

    def __init__(
        self, client: KubeClient, resource: str, namespace: str, selector: str, sink: Sink, pace: Pace | None = None
    ) -> None:
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._selector = selector
        self._sink = sink
        self._pace = pace or Pace()
        self._closed = threading.Event()
        self._stream: WatchStream | None = None
        self._may_watch = True
        self._is_cached = False
        self._version = ""
        self._listed_at = 0.0
        self._pause_s = self._pace.first_pause_s
        self._thread = threading.Thread(target=self._run, name=f"kube-{resource}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; the thread is gone soon."""
        self._closed.set()
        if (stream := self._stream) is not None:
            stream.close()

    def join(self, seconds: float) -> None:
        """Wait for its end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                self._turn()
                self._pause_s = self._pace.first_pause_s
            except KubeExpiredError:
                self._version, self._is_cached = "", False
            except KubeUnavailableError as error:
                # A watch that was open for long and broke off is an everyday thing; one that breaks at once may go on to.
                if time.monotonic() - began < self._pace.stall_s:
                    self._rest(error, error.retry_after_s or _jittered(self._pause_s))
                    self._pause_s = min(2 * self._pause_s, self._pace.longest_away_s)
            except KubeError as error:
                self._rest(error, _jittered(self._pace.refused_s))

    def _turn(self) -> None:
        """One list, if it is time for one, and one watch to its end."""
        if not self._version or time.monotonic() - self._listed_at > self._pace.resync_s:
            self._list()
        if not self._may_watch:
            self._version = ""
            self._closed.wait(_jittered(self._pace.list_s))
            return
        try:
            self._stream = self._client.watch(
                self._resource,
                self._namespace,
                self._selector,
                self._version,
                timeout_s=_jittered(self._pace.watch_s),
                stall_s=self._pace.stall_s,
            )
        except KubeForbiddenError:
            self._may_watch = False
            return
        if self._closed.is_set():
            self._stream.close()
        self._sink.trouble(self._resource, None)
        for kind, found in self._stream:
            self._version = found["metadata"]["resourceVersion"]
            if kind != "BOOKMARK":
                self._sink.take(self._resource, kind, found)

    def _list(self) -> None:
        listing = self._client.list_objects(self._resource, self._namespace, self._selector, cached=self._is_cached)
        self._sink.replace(self._resource, listing)
        self._version, self._listed_at, self._is_cached = listing.version, time.monotonic(), True
        self._sink.trouble(self._resource, None)

    def _rest(self, error: KubeError, seconds: float) -> None:
        self._sink.trouble(self._resource, error)
        self._closed.wait(seconds)


def _jittered(seconds: float) -> float:
    """Somewhere near: many runs that were started together shall not ask together."""
    return seconds * random.uniform(0.75, 1.25)
