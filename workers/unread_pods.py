"""Whether what a pod printed last is to be kept with its run: asked when it has ended, by the worker that watches it."""

from __future__ import annotations

from collections.abc import Callable

from ..executors.wanted_lines import BAD_ENDS, WantedLines
from ..storage.contract import AttemptRef
from ..storage.journal import Journal
from ..storage.step_queues import StepQueues

Key = tuple[str, AttemptRef]
WantsLines = Callable[[Key], bool]


class UnreadPods:
    """Knows it from the database. Any thread may ask.

    Args:
        journal, queues: where runs and their queues are.
        worker_id: the worker that asks.
    """

    def __init__(self, journal: Journal, queues: StepQueues, worker_id: str) -> None:
        self._journal = journal
        self._queues = queues
        self._worker_id = worker_id

    def wants(self, key: Key) -> bool:
        """Whether the attempt failed by itself, its log is kept nowhere, nobody has told its last lines, and it is this worker that is to do so.

        Raises:
            StorageUnavailableError: no answer.
        """
        row = self._journal.attempt(*key)
        if row is None or row.outcome not in BAD_ENDS or not self._queues.is_watcher(*key, self._worker_id):
            return False
        return bool(WantedLines().heard(self._journal.of_attempt(*key)))
