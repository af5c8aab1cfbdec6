"""Deleting runs with everything that is kept of them: database, outputs, logs, what their workers said.

The database goes first and last: a run disappears in one transaction that notes its deletion, then its files go, then its events and
the note. See ``storage/deletion.py`` for what a ``kill -9`` in between leaves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..config.pointer import ClassPointer, load_class
from ..events.run import Run
from ..events.status import RunStatus
from ..serdes.record import record
from ..storage.compute_logs import ComputeLogStore, DeletesLogs, remove_tree
from ..storage.contract import RunFilter
from ..storage.deletion import DELETABLE, Deletions, Kept, Remains
from ..storage.runs import Runs

PAGE = 200
UNSTARTED_S = 3600.0
"""A run that nobody started is left alone so long: it may be on its way to a launcher."""


@record
class Choice:
    """Which of the runs that are not live are meant.

    Attributes:
        now: seconds since the epoch.
        ended_before: the same: those that ended (or were made, when nobody started them) before; None: all.
        keep_failed: not those that failed.
    """

    now: float
    ended_before: float | None = None
    keep_failed: bool = False

    def has(self, run: Run) -> bool:
        """Whether a run is meant."""
        if self.keep_failed and run.status is RunStatus.FAILURE:
            return False
        if run.status is RunStatus.NOT_STARTED and run.created_at > self.now - UNSTARTED_S:
            return False
        return self.ended_before is None or (run.ended_at or run.created_at) < self.ended_before


class RunRemoval:
    """Deletes runs of one instance.

    Args:
        deletions, runs: of its database.
        folder: where it keeps outputs, one folder per run; what workers said stands below ``workers``.
        logs: where it keeps what steps print.
    """

    def __init__(self, deletions: Deletions, runs: Runs, folder: Path, logs: ComputeLogStore) -> None:
        self._deletions = deletions
        self._runs = runs
        self._folder = folder
        self._logs = logs

    @property
    def leaves_logs(self) -> bool:
        """Whether the log store can not delete."""
        return not isinstance(self._logs, DeletesLogs)

    def chosen(self, choice: Choice) -> Iterator[Run]:
        """Runs that are meant, newest first, so that a re-execution goes before the run whose outputs it took. Read in pages."""
        wanted = RunFilter(statuses=DELETABLE, created_before=choice.ended_before)
        cursor = None
        while True:
            page = self._runs.page(wanted, cursor, PAGE)
            yield from (run for run in page.runs if choice.has(run))
            cursor = page.cursor
            if cursor is None:
                return

    def remove(self, run_id: str) -> Kept | None:
        """Delete a run; None when it is gone.

        Raises:
            NotFoundError: there is none. OSError: a file can not be removed; the run is gone from sight, the rest stays noted.
        """
        kept = self._deletions.take_out(run_id)
        if kept is None:
            for left in self._deletions.remains(run_id):
                self._erase(left)
        return kept

    def finish_interrupted(self) -> int:
        """Erase what a deletion that was killed left; how many runs. Raises OSError."""
        done = 0
        while left := self._deletions.remains():
            for one in left:
                self._erase(one)
            done += len(left)
        return done

    def remove_unused_plans(self) -> int:
        """Erase the plans that no run has any more; how many. One that was used a day ago or later stays."""
        return self._deletions.erase_unused_plans(time.time())

    def _erase(self, left: Remains) -> None:
        at_urls: set[str] = set()
        for location in self._deletions.locations(left):
            path = location.get("path")
            if isinstance(path, str) and "://" in path:
                at_urls |= _folder_of_run(path, left.run_id)
            else:
                self._remove_output(left.run_id, path)
        if at_urls:
            # Its module loads file systems of the network: only where a run used one.
            pointer = ClassPointer(f"{__package__.rpartition('.')[0]}.outputs.upath", "UrlOutputs")
            outputs: Any = load_class(pointer, where="outputs at a URL")()
            for folder in sorted(at_urls):
                outputs.remove(folder)
        remove_tree(self._folder / left.run_id)
        if isinstance(self._logs, DeletesLogs):
            self._logs.delete(left.run_id)
        (self._folder / "workers" / f"{left.run_id}.log").unlink(missing_ok=True)
        self._deletions.erase(left)

    def _remove_output(self, run_id: str, path: object) -> None:
        """Remove an output's file where it lies in a folder of the run: what lies elsewhere (an asset) outlives its run."""
        if not isinstance(path, str) or run_id not in Path(path).parts[:-1]:
            return
        place = Path(path)
        place.unlink(missing_ok=True)
        for folder in place.parents:
            if run_id not in folder.parts:
                return
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return  # something else of the run is in it


def _folder_of_run(url: str, run_id: str) -> set[str]:
    """The run's own folder that a URL leads through; none for what is kept elsewhere (an asset), which outlives its run."""
    before, found, _ = url.partition(f"/{run_id}/")
    return {f"{before}/{run_id}"} if found else set()
