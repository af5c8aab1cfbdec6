"""What can be made to go wrong with requests, on demand."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """One request, as it was counted.

    Attributes:
        verb: ``get``, ``list``, ``watch``, ``create``, ``patch``, ``delete``.
        resource: plural name (``jobs``, ``pods``, ``pods/log``).
        name: of the object; empty for a collection.
        cached: a list that was content with the API server's cache (``resourceVersion=0``).
        at: when, ``time.monotonic``.
    """

    verb: str
    resource: str
    name: str = ""
    cached: bool = False
    at: float = field(default_factory=time.monotonic)


@dataclass
class Fault:
    """Something that goes wrong with the next requests of a kind, until it is used up or taken away.

    Attributes:
        verb, resource: which requests; empty: all.
        name: which object, if not all.
        times: how many requests; None: until it is taken away.
        status: this HTTP status instead of an answer (410, 429, 500, 503, ...).
        reason: the reason that stands in it.
        retry_after: seconds for the header ``Retry-After``.
        latency_s: seconds before the request is looked at.
        hang: no answer, until the fault is taken away.
        lose_answer: it is done, and the connection is cut instead of an answer.
    """

    verb: str = ""
    resource: str = ""
    name: str = ""
    times: int | None = None
    status: int | None = None
    reason: str = "ServiceUnavailable"
    retry_after: int | None = None
    latency_s: float = 0.0
    hang: bool = False
    lose_answer: bool = False
    over: threading.Event = field(default_factory=threading.Event, compare=False)

    def fits(self, asked: Asked) -> bool:
        """Whether this request is meant."""
        return (
            self.verb in ("", asked.verb)
            and self.resource in ("", asked.resource)
            and self.name in ("", asked.name)
            and not self.over.is_set()
        )


class Faults:
    """The faults of now, and what was asked so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.log: list[Asked] = []
        self.watches = 0
        self.most_watches = 0
        self.frozen = threading.Event()
        self.cuts = 0

    def add(self, fault: Fault) -> Fault:
        """From now on."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def end(self, fault: Fault) -> None:
        """Take one away: what hangs by it goes on."""
        with self._lock:
            fault.over.set()
            self._faults = [f for f in self._faults if f is not fault]

    def end_all(self) -> None:
        """Take all away."""
        for fault in list(self._faults):
            self.end(fault)
        self.frozen.clear()

    def meet(self, asked: Asked) -> list[Fault]:
        """Count a request; the faults that it meets."""
        with self._lock:
            self.log.append(asked)
            met = [f for f in self._faults if f.fits(asked)]
            for fault in met:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults = [f for f in self._faults if f is not fault]
            return met

    def counts(self, since: float = 0.0) -> Counter[str]:
        """How many requests of each kind (``create jobs``), since a moment of ``time.monotonic``."""
        with self._lock:
            return Counter(f"{a.verb} {a.resource}" for a in self.log if a.at >= since)

    def watch_opened(self) -> None:
        """A watch begins."""
        with self._lock:
            self.watches += 1
            self.most_watches = max(self.most_watches, self.watches)

    def watch_closed(self) -> None:
        """A watch is over."""
        with self._lock:
            self.watches -= 1
