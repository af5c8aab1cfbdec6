"""Sends hints from a thread of its own, so that a broker that does not answer holds nobody up, and sends again what was lost.

A hint was lost when fewer messages wait in a queue than attempts: then that many are sent again, so that never more hints than attempts
are on their way, but for what two coordinators send at the same time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from ..celery_app.broker import Broker, BrokerUnavailableError
from ..celery_app.hint import Hint
from ..celery_app.settings import CelerySettings
from ..errors import StorageUnavailableError
from ..storage.contract import AttemptRef
from ..storage.step_queues import QueuedStep, StepQueues
from .contract import PartFailed, RunnerNote, RunnerSignal, engine_event

FIRST_REPEAT_S, LAST_REPEAT_S = 2.0, 10.0
IN_SPITE_OF_DEPTH = 5
"""After so many looks a hint is sent again though enough messages wait: they may be somebody else's."""
LOOK_S, TRY_AGAIN_S = 0.5, 1.0


class _Sent:
    """When an attempt's hint is looked at next, and how often it was."""

    def __init__(self) -> None:
        self.looks = 0
        self.due = time.monotonic() + FIRST_REPEAT_S

    def looked(self) -> None:
        self.looks += 1
        self.due = time.monotonic() + min(FIRST_REPEAT_S * 2**self.looks, LAST_REPEAT_S)


class Publisher:
    """See ``PublishesHints``. Loaded by ``publisher_maker``.

    Args:
        settings: the broker. queues: whose attempts are announced. instance: id of the instance.
        report: told when the broker can not be reached, and when it can again.
    """

    def __init__(
        self, settings: CelerySettings, queues: StepQueues, instance: str, report: Callable[[RunnerSignal], None]
    ) -> None:
        self._settings = settings
        self._broker = Broker(settings)
        self._queues = queues
        self._report = report
        self._instance = instance
        self._lock = threading.Lock()
        self._to_send: dict[AttemptRef, QueuedStep] = {}
        self._waiting: dict[AttemptRef, QueuedStep] = {}
        self._sent: dict[AttemptRef, _Sent] = {}
        self._is_away = False
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="runplane-hints", daemon=True)
        self._thread.start()

    def announce(self, step: QueuedStep) -> None:
        """See ``PublishesHints``."""
        with self._lock:
            self._to_send[step.ref] = step
        self._wake.set()

    def still_waiting(self, steps: Sequence[QueuedStep]) -> None:
        """See ``PublishesHints``."""
        with self._lock:
            self._waiting = {step.ref: step for step in steps}

    def withdraw(self, step: QueuedStep) -> None:
        """See ``PublishesHints``. Its message, if there is one, is refused by whoever gets it."""
        with self._lock:
            self._to_send.pop(step.ref, None)
            self._waiting.pop(step.ref, None)

    def close(self) -> None:
        """See ``PublishesHints``."""
        self._closed = True
        self._wake.set()
        self._thread.join()
        self._broker.close()

    def _run(self) -> None:
        try:
            while not self._closed:
                try:
                    self._send_all()
                    self._send_lost()
                except (BrokerUnavailableError, StorageUnavailableError) as e:
                    self._away(e)
                    self._wake.wait(TRY_AGAIN_S)
                    self._wake.clear()
                    continue
                self._wake.wait(LOOK_S)
                self._wake.clear()
        except Exception as error:  # noqa: BLE001 - a coordinator that can not announce may not go on as if it did
            self._report(PartFailed(error))

    def _send_all(self) -> None:
        while not self._closed:
            with self._lock:
                step = next(iter(self._to_send.values()), None)
            if step is None:
                return
            self._send(step)
            with self._lock:
                self._to_send.pop(step.ref, None)

    def _send_lost(self) -> None:
        """Send again what nobody took and is not there any more."""
        with self._lock:
            waiting = [step for ref, step in self._waiting.items() if ref not in self._to_send]
        for ref in self._sent.keys() - {step.ref for step in waiting}:
            if ref not in self._to_send:
                del self._sent[ref]
        now = time.monotonic()
        due: dict[str, list[QueuedStep]] = {}
        for step in waiting:
            if self._sent.setdefault(step.ref, _Sent()).due <= now:
                due.setdefault(step.queue, []).append(step)
        for queue, steps in due.items():
            all_waiting, depth = self._queues.waiting_in(queue), self._broker.depth(queue)
            lost = max(all_waiting - depth, 0)
            for step in steps:
                sent = self._sent[step.ref]
                sent.looked()
                in_spite = sent.looks % IN_SPITE_OF_DEPTH == 0 and depth < 2 * all_waiting
                if lost > 0 or in_spite:
                    self._send(step)
                    lost, depth = lost - 1, depth + 1
        if self._is_away and due:
            self._back()

    def _send(self, step: QueuedStep) -> None:
        hint = Hint(self._instance, step.run_id, step.ref.step, step.ref.n, step.queue)
        self._broker.publish(hint, step.priority)
        self._sent.setdefault(step.ref, _Sent())
        if self._is_away:
            self._back()

    def _away(self, error: BrokerUnavailableError | StorageUnavailableError) -> None:
        if not self._is_away and isinstance(error, BrokerUnavailableError):
            self._is_away = True
            self._say(f"{error} Steps wait until it does.")

    def _back(self) -> None:
        self._is_away = False
        self._say(f"The broker {self._settings.shown} answers again.")

    def _say(self, text: str) -> None:
        self._report(RunnerNote([engine_event(text)]))
