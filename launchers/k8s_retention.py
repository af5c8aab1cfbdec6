"""Jobs of runs that are over are deleted before Kubernetes does it, so that a busy namespace stays readable."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..events.status import RunStatus
from ..kube.client import KubeClient
from ..kube.errors import KubeError
from ..kube.job_facts import ATTEMPT_LABEL, RUN_LABEL
from ..kube.observed import is_finished

EVERY_S = 30.0
_SELECTOR = f"{RUN_LABEL},{ATTEMPT_LABEL}"
_PAGE = 200
_log = logging.getLogger(__name__)


class Retention:
    """Deletes the finished Jobs of runs that are over, those of steps too. Of runs that this instance does not know nothing is touched.

    Args:
        keep_failed: the Jobs of so many runs that failed last stay.
        statuses: where runs stand, as far as they are known.
        clock: seconds.
    """

    def __init__(
        self, keep_failed: int, statuses: Callable[[Sequence[str]], Mapping[str, RunStatus]], clock: Callable[[], float]
    ) -> None:
        self._keep_failed = keep_failed
        self._statuses = statuses
        self._clock = clock
        self._lock = threading.Lock()
        self._looked: dict[str, float] = {}

    def tidy(self, client: KubeClient, namespace: str) -> None:
        """Delete what may go; not more often than every ``EVERY_S``. A cluster that does not answer is asked the next time."""
        with self._lock:
            if self._clock() - self._looked.get(namespace, float("-inf")) < EVERY_S:
                return
            self._looked[namespace] = self._clock()
        try:
            jobs = [job for job in client.list_jobs(namespace, _SELECTOR, cached=True).items if is_finished(job)]
            for job in self._may_go(jobs):
                meta = job["metadata"]
                client.delete_job(namespace, meta["name"], uid=meta["uid"])
        except KubeError as error:
            _log.warning("Jobs of runs that are over were not deleted: %s", error)

    def _may_go(self, jobs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        newest: dict[str, str] = {}
        for job in jobs:
            run_id = job["metadata"]["labels"][RUN_LABEL]
            newest[run_id] = max(newest.get(run_id, ""), job["metadata"].get("creationTimestamp") or "")
        over = {run_id: status for run_id, status in self._known(list(newest)).items() if status.is_final}
        failed = sorted((r for r, s in over.items() if s is RunStatus.FAILURE), key=lambda r: newest[r], reverse=True)
        stay = set(failed[: self._keep_failed])
        return [job for job in jobs if (run := job["metadata"]["labels"][RUN_LABEL]) in over and run not in stay]

    def _known(self, run_ids: list[str]) -> dict[str, RunStatus]:
        found: dict[str, RunStatus] = {}
        for start in range(0, len(run_ids), _PAGE):
            found.update(self._statuses(run_ids[start : start + _PAGE]))
        return found
