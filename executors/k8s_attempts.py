"""The attempts of a runner of Jobs, each looked at by one thread: when something has changed, when a call was answered, when it is due.

Calls to the API are made by other threads, so that one that hangs holds up nobody else.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..errors import ConfigErrors
from ..kube.errors import KubeError
from ..storage.contract import AttemptRef
from .k8s_attempt import Attempt
from .loop import Loop

IN_FLIGHT = 32
"""Calls at a time."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
"""Between two tries of a call that has failed."""


class Attempts:
    """See the module.

    Args:
        look: does what is to be done for an attempt now, if anything is.
        broke: told of a fault of ours.
    """

    def __init__(self, look: Callable[[Attempt], None], broke: Callable[[BaseException], None]) -> None:
        self._look = look
        self._broke = broke
        self._by_ref: dict[AttemptRef, Attempt] = {}
        self._by_name: dict[str, Attempt] = {}
        self._loop = Loop("k8s-jobs", lambda: None, broke)
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="kube-call")
        self.closed = threading.Event()

    # From other threads -----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin with what was posted."""
        self._loop.start()

    def post(self, action: Callable[[], None]) -> None:
        """Do this next, in the one thread."""
        self._loop.post(action)

    def changed(self, job_name: str) -> None:
        """Look at the attempt whose Job has this name, if there is one."""
        self.post(lambda: self._on_changed(job_name))

    def answers(self) -> None:
        """The cluster answers again: calls that wait for that are tried now."""
        self.post(self._on_answers)

    def has(self, job_name: str) -> bool:
        """Whether a Job is an attempt's."""
        return job_name in self._by_name

    def all(self) -> list[Attempt]:
        """All that have not ended."""
        return list(self._by_ref.values())

    def close(self) -> None:
        """Look at nothing any more, and wait for no call."""
        self.closed.set()
        self._loop.close(self._loop.end)
        self._pool.shutdown(wait=False, cancel_futures=True)

    # In the one thread ------------------------------------------------------------------------------------------------------------

    def get(self, ref: AttemptRef) -> Attempt | None:
        """The attempt, until it has ended."""
        return self._by_ref.get(ref)

    def add(self, ref: AttemptRef, job_name: str) -> Attempt:
        """An attempt from now on."""
        attempt = Attempt(ref, job_name, time.monotonic())
        self._by_ref[ref] = self._by_name[job_name] = attempt
        return attempt

    def remove(self, attempt: Attempt) -> None:
        """It is looked at no more, and no answer is told of it."""
        self._by_ref.pop(attempt.ref, None)
        self._by_name.pop(attempt.job_name, None)

    def look(self, attempt: Attempt) -> None:
        """Look at it now, or when the call about it that is on its way is answered."""
        # The answer that is on its way may be older than what has just changed.
        attempt.look_again = attempt.is_busy
        if not attempt.is_busy:
            self._look(attempt)

    def look_in(self, attempt: Attempt, seconds: float) -> None:
        """Look at it after some seconds, or when it was to be looked at anyhow if that is sooner."""
        at = time.monotonic() + seconds
        if attempt.due is None or at < attempt.due:
            attempt.due = at
            self._loop.after(seconds, lambda: self._on_due(attempt.ref, at))

    def call(self, attempt: Attempt, what: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Make a call elsewhere; `then` gets its result, or the KubeError, in this thread."""
        attempt.is_busy = True

        def made() -> None:
            try:
                result = what()
            except (KubeError, ConfigErrors) as error:
                result = error
            except BaseException as error:  # noqa: BLE001 - it is told
                self._broke(error)
                return
            self.post(lambda: answered(result))

        def answered(result: Any) -> None:
            attempt.is_busy = False
            if self._by_ref.get(attempt.ref) is attempt:
                again = attempt.look_again
                then(result)
                if again and self._by_ref.get(attempt.ref) is attempt:
                    self.look(attempt)

        self.elsewhere(made)

    def elsewhere(self, what: Callable[..., Any], *arguments: Any) -> None:
        """Do this in another thread; what comes of it is its own affair."""
        if not self.closed.is_set():
            self._pool.submit(what, *arguments)

    def _on_changed(self, job_name: str) -> None:
        if (attempt := self._by_name.get(job_name)) is not None:
            self.look(attempt)

    def _on_answers(self) -> None:
        for attempt in self.all():
            if attempt.pause_s:
                # Its next pause, if there is one, is as long as it would have been.
                attempt.not_before = attempt.own_not_before = 0.0
                self.look(attempt)

    def _on_due(self, ref: AttemptRef, at: float) -> None:
        attempt = self._by_ref.get(ref)
        if attempt is not None and attempt.due == at:
            attempt.due = None
            self.look(attempt)


def next_pause(attempt: Attempt) -> float:
    """Seconds until a call about it that has failed is tried again: longer each time."""
    attempt.pause_s = min(max(FIRST_PAUSE_S, 2 * attempt.pause_s), LONGEST_PAUSE_S)
    return attempt.pause_s * random.uniform(0.75, 1.25)
