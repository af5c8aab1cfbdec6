"""The daemon's process: a thread per loop; one that beats and renews leases, one that passes news on, and one that writes the local file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import FencedError, StorageUnavailableError
from ..instance.instance import Instance
from ..storage.contract import Owner
from ..storage.daemons import Daemons
from ..storage.leases import LOOKS_PER_TTL, Leases
from ..storage.liveness import this_process
from .contract import DaemonLoop, PassWatch
from .local_file import StateFile
from .loop_thread import LoopThread

TICK_S = 0.5
END_S = 20.0
"""How long a daemon that is told to end waits for its loops."""
Say = Callable[[str], None]


class Service:
    """The loops of one process.

    Args:
        instance: the instance; each loop gets a sibling of it.
        loops: what to do.
        ttl_s: how long a beat has to stand still before another daemon takes over.
        file: the local file.
        say: told what a person should know.
        watch: told of each pass of a loop.
    """

    def __init__(
        self,
        instance: Instance,
        loops: Sequence[DaemonLoop],
        *,
        ttl_s: float,
        file: Path,
        say: Say,
        watch: PassWatch | None = None,
        me: Owner | None = None,
    ) -> None:
        self.me = me or this_process()
        self._instance = instance
        self._ttl_s = ttl_s
        self._file = StateFile(file, say)
        self._say = say
        self._stopping = threading.Event()
        self._news = threading.Thread(target=self._listen, name="news", daemon=True)
        self._teller = threading.Thread(target=self._tell_state, name="state", daemon=True)
        self._listening = instance.sibling()
        self.threads = [
            LoopThread(loop, instance.sibling(), self.me, ttl_s=ttl_s, say=say, watch=watch) for loop in loops
        ]
        self._beat_s = ttl_s / (2 * LOOKS_PER_TTL)
        self._since = time.time()
        self._is_away = False

    def run(self) -> None:
        """Until ``stop`` is called. A database that is away is waited for, at the start too."""
        daemons, leases = Daemons(self._instance.database), Leases(self._instance.database, self.me, ttl_s=self._ttl_s)
        for thread in self.threads:
            thread.start()
        self._news.start()
        self._file.tell(self.state())
        self._teller.start()
        while not self._stopping.is_set():
            self._beat(daemons, leases)
            self._stopping.wait(self._beat_s)
        self._end(daemons)

    def stop(self) -> None:
        """Have ``run`` end; may be called from a signal handler."""
        self._stopping.set()

    def state(self) -> dict[str, Any]:
        """How this daemon is: kept in its row and in the local file."""
        return {
            "pid": self.me.pid,
            "pid_started": self.me.pid_started,
            "host": self.me.host,
            "version": __version__,
            "since": self._since,
            "loops": {thread.loop.name: thread.state() for thread in self.threads},
        }

    @property
    def connections(self) -> int:
        """Connections to the database that this process has open: one for each loop, two for news (Postgres), one for beats."""
        mine = self._instance.connections + self._listening.connections
        return mine + sum(thread.connections for thread in self.threads if thread.is_alive)

    def _beat(self, daemons: Daemons, leases: Leases) -> None:
        try:
            daemons.beat(self.me, self.state())
            for thread in self.threads:
                lease = thread.lease
                if lease is not None:
                    try:
                        leases.renew(lease)
                    except FencedError:
                        thread.lose(lease)
            self._is_away = False
        except StorageUnavailableError as e:
            if not self._is_away:
                self._say(f"{e.message} Nothing new is started until it answers.")
            self._is_away = True

    def _tell_state(self) -> None:
        """Write the local file. A thread of its own, since a beat takes as long as the database is silent."""
        while not self._stopping.wait(min(TICK_S, self._beat_s)):
            self._file.tell(self.state())

    def _listen(self) -> None:
        """Pass news on. A connection of its own, since waiting keeps it busy."""
        tick_s = min(TICK_S, self._ttl_s / (4 * LOOKS_PER_TTL))
        with self._listening as instance:
            while not self._stopping.is_set():
                try:
                    instance.database.wait_for_news(tick_s)
                except StorageUnavailableError:
                    self._stopping.wait(tick_s)
                for thread in self.threads:
                    thread.hear_news()

    def _end(self, daemons: Daemons) -> None:
        for thread in self.threads:
            thread.stop()
        end = time.monotonic() + END_S
        for thread in self.threads:
            if not thread.join(max(0.0, end - time.monotonic())):
                self._say(f"{thread.loop.name}: does not end; its lease lapses by itself")
        self._news.join(2 * TICK_S)
        self._teller.join(2 * TICK_S)
        try:
            daemons.forget(self.me.worker_id)
        except StorageUnavailableError as e:
            self._say(f"{e.message} The row of this daemon stays.")
        self._file.remove()
