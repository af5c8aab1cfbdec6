"""Where a worker hears of steps: from a broker, or from the database itself."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from ..celery_app.broker import Broker, BrokerUnavailableError, Got, refuse_compression
from ..celery_app.hint import Hint, Refusal, read
from ..celery_app.presence import Presence
from ..serdes.record import record
from ..storage.contract import AttemptRef
from ..storage.step_queues import StepQueues

AFTER_FOREIGN_S = 30.0
"""How long a queue is left alone in which somebody else's message was found."""
LEFT_TO_OTHERS_S = 5.0
"""How long a hint that was put back is left to other workers. After that it is dropped, so that it holds up nothing that stands behind it: its run
sends it again, and the process of a run is found without one."""
TRY_AGAIN_S = 1.0
LOOK_S = 1.0
"""Until queues of the database that had nothing are looked into again without a word: a run that was handed back, a word that was lost."""
LISTEN_S = 0.5
"""How long the database is listened to at once: a worker that leaves waits for that."""
LATE_RUN_S = 5.0
"""A run's process that waits for so long is looked for in the database: whoever launched it may be gone, and nobody sends its hint again."""
Say = Callable[[str], None]


@record
class Pointed:
    """An attempt that is to be looked at."""

    run_id: str
    ref: AttemptRef
    queue: str


class HintSource(Protocol):
    """Tells what to look at next."""

    refused: Counter[str]

    def attend(self, wake: Callable[[], None]) -> None:
        """Called once, before the first ``next``: `wake` is called, from any thread, when there may be something."""

    def next(self, queues: Sequence[str]) -> Pointed | None:
        """The next attempt of one of these queues, the first queue first; None: nothing now. Raises StorageUnavailableError."""

    def give_back(self, pointed: Pointed, priority: int) -> None:
        """This worker can not serve it; another one may."""

    def began(self, pointed: Pointed, pid: int) -> None:
        """It was taken, and its process was started: for tools that show what workers do."""

    def ended(self, pointed: Pointed, failed: str | None) -> None:
        """Its process has ended. `failed`: how, when it was not with code 0."""

    def close(self) -> None:
        """Give up what is open."""


class FromDatabase:
    """No broker: the database is asked, when it has told that something was put into a queue, and now and then. See ``HintSource``."""

    def __init__(self, queues: StepQueues) -> None:
        self._queues = queues
        self.refused: Counter[str] = Counter()
        self._told, self._told_then = 0, -1
        self._look_at = 0.0
        self._empty: set[str] = set()
        self._is_closed = threading.Event()
        self._listener: threading.Thread | None = None

    def attend(self, wake: Callable[[], None]) -> None:
        """See ``HintSource``."""
        self._listener = threading.Thread(target=self._listen, args=(wake,), name="listener", daemon=True)
        self._listener.start()

    def next(self, queues: Sequence[str]) -> Pointed | None:
        """See ``HintSource``. A queue that had nothing is asked again after the next word of the database, or after a while."""
        told = self._told
        if told != self._told_then or time.monotonic() >= self._look_at:
            self._told_then, self._look_at = told, time.monotonic() + LOOK_S
            self._empty.clear()
        asked = [queue for queue in queues if queue not in self._empty]
        found = self._queues.next_in(asked, 1) if asked else []
        if not found:
            self._empty.update(asked)
            return None
        return Pointed(*found[0])

    def _listen(self, wake: Callable[[], None]) -> None:
        while not self._is_closed.is_set():
            if self._queues.wait_for_queued(LISTEN_S):
                self._told += 1
                wake()

    def give_back(self, pointed: Pointed, priority: int) -> None:
        """See ``HintSource``. It waits in the database, which gives it to others only."""

    def began(self, pointed: Pointed, pid: int) -> None:
        """See ``HintSource``. ``celery worker list`` asks the database."""

    def ended(self, pointed: Pointed, failed: str | None) -> None:
        """See ``HintSource``."""

    def close(self) -> None:
        """See ``HintSource``."""
        self._is_closed.set()
        if self._listener is not None:
            self._listener.join(2 * LISTEN_S)


class FromBroker:
    """One message at a time, acknowledged when it is received. See ``HintSource``.

    Attributes:
        refused: messages that were no hints of ours, by reason.
    """

    def __init__(self, broker: Broker, presence: Presence, queues: StepQueues, instance: str, say: Say) -> None:
        refuse_compression()
        self._broker = broker
        self._presence = presence
        self._queues = queues
        self._look_at = 0.0
        self._instance = instance
        self._say = say
        self.refused: Counter[str] = Counter()
        self._left_alone: dict[str, float] = {}
        self._given_back: dict[Pointed, float] = {}
        self._is_away = False
        self._try_at = 0.0

    def attend(self, wake: Callable[[], None]) -> None:
        """See ``HintSource``. A broker is asked again and again."""

    def next(self, queues: Sequence[str]) -> Pointed | None:
        """See ``HintSource``. A broker that is away is asked again, and has nothing until it answers."""
        return self._by_message(queues) or self._late_run(queues)

    def _late_run(self, queues: Sequence[str]) -> Pointed | None:
        if not queues or time.monotonic() < self._look_at:
            return None
        found = self._queues.late_runs_in(queues, LATE_RUN_S)
        # Where one was found, there may be more.
        self._look_at = time.monotonic() + (0.0 if found else LATE_RUN_S)
        return Pointed(*found[0]) if found else None

    def _by_message(self, queues: Sequence[str]) -> Pointed | None:
        if time.monotonic() < self._try_at:
            return None
        try:
            for queue in queues:
                found = self._of(queue)
                if found is not None:
                    return found
        except BrokerUnavailableError as e:
            self._try_at = time.monotonic() + TRY_AGAIN_S
            if not self._is_away:
                self._say(f"{e} Nothing is taken until it does.")
            self._is_away = True
            return None
        if self._is_away:
            self._say("The broker answers again.")
        self._is_away = False
        return None

    def give_back(self, pointed: Pointed, priority: int) -> None:
        """See ``HintSource``. Its message was acknowledged: it is sent anew, behind what waits."""
        now = time.monotonic()
        self._given_back = {one: at for one, at in self._given_back.items() if now - at < 2 * LEFT_TO_OTHERS_S}
        self._given_back[pointed] = now
        # A broker that is away is told of when it is asked next; the hint is lost, and its run sends it again.
        with suppress(BrokerUnavailableError):
            self._broker.publish(self._hint(pointed), priority)

    def began(self, pointed: Pointed, pid: int) -> None:
        """See ``HintSource``."""
        self._presence.began(self._hint(pointed), pid)

    def ended(self, pointed: Pointed, failed: str | None) -> None:
        """See ``HintSource``."""
        self._presence.ended(self._hint(pointed), failed)

    def close(self) -> None:
        """See ``HintSource``."""
        self._presence.close()
        self._broker.close()

    def _hint(self, pointed: Pointed) -> Hint:
        return Hint(self._instance, pointed.run_id, pointed.ref.step, pointed.ref.n, pointed.queue)

    def _of(self, queue: str) -> Pointed | None:
        """The first hint of a queue; what is none is counted, and dropped or given back."""
        while time.monotonic() >= self._left_alone.get(queue, 0.0):
            try:
                got = self._broker.get(queue)
            except ValueError as e:
                # Not even an envelope: on Redis it is out of its list already.
                self._refuse(queue, Refusal("malformed", type(e).__name__))
                continue
            if got is None:
                return None
            hint = read(got.message, self._instance)
            if not isinstance(hint, Refusal):
                pointed = Pointed(hint.run, AttemptRef(hint.step, hint.attempt), queue)
                given_back_at = self._given_back.get(pointed)
                if given_back_at is None:
                    self._broker.acknowledge(got)
                    return pointed
                self._comes_again(got, pointed, given_back_at)
                continue
            self._refuse(queue, hint)
            if hint.is_others:
                self._broker.give_back(got)
                self._left_alone[queue] = time.monotonic() + AFTER_FOREIGN_S
            else:
                self._broker.acknowledge(got)
        return None

    def _comes_again(self, got: Got, pointed: Pointed, given_back_at: float) -> None:
        """A hint that this worker has put back: nobody else has taken it."""
        others_until = given_back_at + LEFT_TO_OTHERS_S
        if time.monotonic() < others_until:
            self._broker.give_back(got)
            self._left_alone[pointed.queue] = others_until
        else:
            del self._given_back[pointed]
            self._broker.acknowledge(got)

    def _refuse(self, queue: str, refusal: Refusal) -> None:
        self.refused[refusal.why] += 1
        text = f"A message in queue {queue} was refused ({refusal.why}): {refusal.detail}."
        if refusal.is_others:
            text += (
                f" It was given back, and the queue is left alone for {AFTER_FOREIGN_S:g} s. Keep brokers apart: another vhost or database"
                " number, or global_keyprefix in broker_transport_options."
            )
        self._say(text)
