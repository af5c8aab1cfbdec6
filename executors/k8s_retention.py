"""Jobs of steps that are over are deleted before Kubernetes does it, where the executor is configured so (``runplane.retention``)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..engine.arcs import AttemptState
from ..errors import RunplaneError
from ..kube.client import KubeClient
from ..kube.job_facts import ATTEMPT_LABEL, STEP_ANNOTATION
from ..kube.observed import is_finished
from ..storage.contract import AttemptRef, AttemptRow

EVERY_S = 20.0
CLOSE_S = 10.0
"""How long the last look may take: nobody waits longer for a cluster that does not answer."""
_CLOSED = (AttemptState.DONE, AttemptState.SEALED)
_SUCCESS = "STEP_SUCCESS"
_log = logging.getLogger(__name__)


class StepRetention:
    """Deletes the finished Jobs of one run's attempts whose outcome is stored; of those that ended badly the newest stay.

    Args:
        client, namespace, selector: where this run's Jobs are.
        keep_failed: how many stay of those that ended badly.
        attempts: reads the run's attempts from storage; called from a thread of this object's.
        every_s: seconds between two looks.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        selector: str,
        keep_failed: int,
        attempts: Callable[[], Sequence[AttemptRow]],
        every_s: float = EVERY_S,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._selector = selector
        self._keep_failed = keep_failed
        self._attempts = attempts
        self._every_s = every_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="k8s-retention", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look once more, and end. Jobs that are not finished yet stay for the launcher's retention, or their time to live."""
        self._closed.set()
        self._thread.join(CLOSE_S)

    def tidy(self) -> None:
        """Delete what may go now. A cluster or a database that does not answer is asked the next time."""
        try:
            # The cluster first: of a Job that was finished then, the outcome is stored, or it never will be.
            listed = self._client.list_jobs(self._namespace, self._selector, cached=True).items
            jobs = {ref: job for job in listed if is_finished(job) and (ref := _ref_of(job)) is not None}
            for job in self._may_go(jobs) if jobs else ():
                self._client.delete_job(self._namespace, job["metadata"]["name"], uid=job["metadata"]["uid"])
        except RunplaneError as error:
            _log.warning("Jobs of steps that are over were not deleted: %s", error)

    def _may_go(self, jobs: Mapping[AttemptRef, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        stored = {row.ref: row.outcome for row in self._attempts() if row.state in _CLOSED}
        good = [job for ref, job in jobs.items() if stored.get(ref) == _SUCCESS]
        bad = [job for ref, job in jobs.items() if ref in stored and stored[ref] != _SUCCESS]
        bad.sort(key=lambda job: str(job["metadata"].get("creationTimestamp") or ""))
        return good + bad[: max(0, len(bad) - self._keep_failed)]

    def _work(self) -> None:
        while not self._closed.wait(self._every_s):
            self.tidy()
        self.tidy()


def _ref_of(job: Mapping[str, Any]) -> AttemptRef | None:
    """The attempt that a Job is of, by its label and annotation."""
    meta = job["metadata"]
    step = (meta.get("annotations") or {}).get(STEP_ANNOTATION)
    number = str((meta.get("labels") or {}).get(ATTEMPT_LABEL))
    return AttemptRef(step, int(number)) if step is not None and number.isdigit() else None
