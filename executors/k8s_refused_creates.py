"""Why Jobs have no pod: quotas and admission checks are told by events of the Job only, which no watch of ours follows.

One read for all Jobs of the namespace, and only while there is a Job without a pod.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from ..kube.client import Json, KubeClient
from ..kube.errors import KubeError

READ_S = 5.0
"""Between two reads. With the time that a Job may be without a pod (``NO_POD_S``), what an admission check denies is known within 10 s."""


class RefusedCreates:
    """The events ``FailedCreate`` of Jobs, as they were read last.

    Args:
        client, namespace: where.
    """

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._events: Mapping[str, Sequence[Json]] = {}

    def of(self, job_name: str) -> Sequence[Json]:
        """The events about that Job."""
        return self._events.get(job_name, ())

    def are_due(self) -> bool:
        """Whether it is time for another read; who hears yes makes it."""
        with self._lock:
            now = time.monotonic()
            if now - self._read_at < READ_S:
                return False
            self._read_at = now
            return True

    def read(self, then: Callable[[Sequence[str]], None]) -> None:
        """Read them, and tell the names of the Jobs that they are about."""
        found: dict[str, list[Json]] = {}
        try:
            for event in self._client.failed_creates(self._namespace):
                found.setdefault(str(event["involvedObject"]["name"]), []).append(event)
        except KubeError:
            return  # not allowed, or no answer: the next read may tell
        self._events = found
        then(list(found))
