"""One loop in its thread: gets the lease, calls the loop, and says how it is."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import FencedError, StorageUnavailableError
from ..instance.instance import Instance
from ..storage.contract import Owner
from ..storage.leases import LOOKS_PER_TTL, Lease, Leases
from ..storage.own_time import OwnTime
from .bell import Bell
from .contract import DaemonLoop, LoopContext, LoopReport, PassWatch

AFTER_ERROR_S = 5.0
"""How long a loop rests that raised."""
AFTER_AWAY_S = 1.0
ERRORS_KEPT = 5
ERRORS_SHOWN_S = 300.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LoopError:
    """Something that went wrong: when (seconds since the epoch), and a sentence."""

    at: float
    text: str


class LoopThread:
    """Runs one loop until it is told to stop.

    Args:
        loop: what to do.
        instance: with a connection of its own.
        me: this process.
        ttl_s: of the lease.
        say: told what went wrong.
        watch: told of each pass.
        after_error_s: how long the loop rests after an error.
    """

    def __init__(
        self,
        loop: DaemonLoop,
        instance: Instance,
        me: Owner,
        *,
        ttl_s: float,
        say: Say,
        watch: PassWatch | None = None,
        after_error_s: float = AFTER_ERROR_S,
    ) -> None:
        self.loop = loop
        self._instance = instance
        self._me = me
        self._ttl_s = ttl_s
        self._say = say
        self._watch = watch
        self._after_error_s = after_error_s
        self._stopping = threading.Event()
        self._bell = Bell()
        self._thread = threading.Thread(target=self._run, name=f"loop {loop.name}", daemon=True)
        self._lease: Lease | None = None
        self._pass: OwnTime | None = None
        self._errors: deque[LoopError] = deque(maxlen=ERRORS_KEPT)
        self.passes = 0
        self.done = 0
        self.leases_lost = 0
        self.problems = 0
        self._due: float | None = None
        self._last_took_s: float | None = None
        self._last_ended: float | None = None
        self._is_away = False

    # From other threads ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Have the loop called soon."""
        self._bell.ring()

    def hear_news(self) -> None:
        """Some run's status may have changed."""
        if self.loop.wakes:
            self._bell.ring()

    def stop(self) -> None:
        """Let it end after the pass that is under way."""
        self._stopping.set()
        self._bell.ring()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def lease(self) -> Lease | None:
        """What it holds, for who renews it; None while a pass takes longer than it may, so that another daemon gets it."""
        return None if self.hangs or not self.is_alive else self._lease

    @property
    def is_active(self) -> bool:
        """Whether it does what it is for, and no other daemon does."""
        return self.is_alive and self._may_pass and not self.hangs

    @property
    def hangs(self) -> bool:
        """Whether the pass that is under way takes longer than it may, for whatever reason."""
        under_way = self._pass
        return under_way is not None and under_way.all_s > self.loop.budget_s

    @property
    def lag_s(self) -> float:
        """How long ago the next pass should have ended well: it grows while the loop hangs, raises, or the database is away. 0 for one that
        waits for its lease."""
        due = self._due
        return 0.0 if due is None or not self._may_pass else max(0.0, time.monotonic() - due)

    @property
    def connections(self) -> int:
        """Connections that it has open."""
        return self._instance.connections

    @property
    def _may_pass(self) -> bool:
        return self._lease is not None or not self.loop.is_leased

    def lose(self, lease: Lease) -> None:
        """Another daemon has this lease."""
        if self._lease == lease:
            self._lease = None
            self.leases_lost += 1

    def state(self) -> dict[str, Any]:
        """How it is, for people and programs."""
        now = time.time()
        under_way, ended = self._pass, self._last_ended
        return {
            "state": self._state(),
            "fence": self._lease.fence if self._lease else None,
            "passes": self.passes,
            "done": self.done,
            "problems": self.problems,
            "lag_s": round(self.lag_s, 3),
            "leases_lost": self.leases_lost,
            "busy_s": round(under_way.all_s, 3) if under_way is not None else None,
            "last_took_s": self._last_took_s,
            "idle_s": round(time.monotonic() - ended, 3) if ended is not None else None,
            "errors": [{"at": e.at, "text": e.text} for e in tuple(self._errors) if now - e.at < ERRORS_SHOWN_S],
        }

    def _state(self) -> str:
        under_way = self._pass
        if under_way is not None and under_way.own_s > self.loop.budget_s:
            return "hangs"
        if not self.is_alive:
            return "ended"
        if self._is_away or self.hangs:
            return "database away"
        return "active" if self._may_pass else "standby"

    # In its thread --------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        leases = Leases(self._instance.database, self._me, ttl_s=self._ttl_s)
        heard = self._bell.rings
        self._due = time.monotonic() + self.loop.interval_s
        while not self._stopping.is_set():
            rest_s = self._one(leases)
            heard = self._bell.wait(heard, rest_s) if rest_s else self._bell.rings
        self._end(leases)

    def _one(self, leases: Leases) -> float:
        """One pass, if it is this daemon's to make; how long to rest then."""
        try:
            self._pass = OwnTime(self._instance.database)
            if self.loop.is_leased:
                self._lease = leases.acquire(self.loop.name)
                if self._lease is None:
                    self._is_away = False
                    self._due = time.monotonic() + self.loop.interval_s
                    return self._ttl_s / (2 * LOOKS_PER_TTL)
            report = self.loop.run_once(self._context())
            self._take(report)
            return 0.0 if report.again else self.loop.interval_s
        except StorageUnavailableError as e:
            self._note(str(e))
            self._is_away = True
            return AFTER_AWAY_S
        except FencedError:
            self.leases_lost += self._lease is not None
            self._lease = None
            return 0.0
        except Exception as e:  # noqa: BLE001 - a loop that raises stops no other, and goes on itself
            self._note(f"{type(e).__name__}: {e}")
            return self._after_error_s
        finally:
            self._pass = None

    def _take(self, report: LoopReport) -> None:
        self._is_away = False
        self.passes += 1
        self.done += report.done
        self._last_ended = time.monotonic()
        self._due = self._last_ended + self.loop.interval_s
        if self._pass is not None:
            took_s = self._pass.all_s
            self._last_took_s = round(took_s, 4)
            if self._watch is not None:
                self._watch.passed(self.loop.name, took_s, report)
        for text in report.problems:
            self._note(text)

    def _note(self, text: str) -> None:
        if not self._errors or self._errors[-1].text != text:
            self._say(f"{self.loop.name}: {text}")
        self.problems += 1
        self._errors.append(LoopError(time.time(), text))

    def _context(self) -> LoopContext:
        return LoopContext(self._instance, self._me, self._lease, self._stopping.is_set, self.wake)

    def _end(self, leases: Leases) -> None:
        """Let go of what is held. A database that is away keeps nobody from ending: the lease lapses then."""
        try:
            self.loop.close()
            if self._lease is not None:
                leases.release(self._lease)
        except StorageUnavailableError as e:
            self._say(f"{self.loop.name}: {e.message} Its lease lapses by itself.")
        finally:
            self._instance.close()
