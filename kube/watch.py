"""What is there of a run's Jobs and pods, kept current by one watch for each of the two, whatever the number of steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .causes import IMAGE_WAITS, is_clear_refusal
from .client import Json, KubeClient, Listing
from .errors import KubeError
from .follower import Follower, Pace
from .observed import Observed, has_ended, is_finished, waiting_state
from .trimmed import job_name_of, trimmed

RESOURCES = ("jobs", "pods")


@dataclass
class _Seen:
    """What is known of one Job."""

    job: Json | None = None
    pods: dict[str, Json] = field(default_factory=dict)
    vanished: dict[str, Json] = field(default_factory=dict)
    refusals: int = 0
    waits_for: str = ""
    waits_since: float = 0.0


class JobWatch:
    """Follows the Jobs with these labels, and their pods.

    Args:
        client: the cluster.
        namespace, selector: which Jobs; their pods have the same labels.
        changed: is told the name of a Job of which something has changed, from a thread of this object's.
        pace: how patient it is.
        clock: seconds, for how long something waits.
        answers: told when the cluster answers again after it was away, from a thread of this object's.
        wanted: whether somebody asks about a Job of this name: of others nothing is kept that is over. None: all is kept that is not
            forgotten.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        selector: str,
        changed: Callable[[str], None],
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        wanted: Callable[[str], bool] | None = None,
        answers: Callable[[], None] = lambda: None,
    ) -> None:
        self._changed = changed
        self._answers = answers
        self._wanted = wanted
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}
        self._forgotten: set[str] = set()
        self._trouble: dict[str, KubeError] = {}
        self._listed: set[str] = set()
        self._synced = threading.Event()
        self._followers = [Follower(client, r, namespace, selector, self, pace) for r in RESOURCES]

    def start(self) -> None:
        """Begin to follow."""
        for follower in self._followers:
            follower.start()

    def close(self) -> None:
        """End."""
        for follower in self._followers:
            follower.close()
        for follower in self._followers:
            follower.join(5.0)

    def wait_until_synced(self, seconds: float) -> bool:
        """Whether all that is there has been read once."""
        return self._synced.wait(seconds)

    @property
    def outage(self) -> KubeError | None:
        """Why nothing new is known at present, or None."""
        with self._lock:
            return next(iter(self._trouble.values()), None)

    def observed(self, job: str, *, events: Sequence[Json] = ()) -> Observed:
        """What is known of a Job by now. That it is not there is not confirmed by this."""
        with self._lock:
            seen = self._seen.get(job) or _Seen()
            return self._as_observed(seen, seen.job, list(seen.pods.values()), events, confirmed=False)

    def confirmed(self, job: str, found: Json | None, pods: Sequence[Json], events: Sequence[Json] = ()) -> Observed:
        """What is known, with what consistent reads have just said of the Job and its pods."""
        with self._lock:
            seen = self._seen.get(job) or _Seen()
            here = {p["metadata"]["name"] for p in pods}
            gone = {n: p for n, p in seen.pods.items() if n not in here}
            told = _Seen(found, {}, {**seen.vanished, **gone}, seen.refusals, seen.waits_for, seen.waits_since)
            kept = [trimmed("pods", p) for p in pods]
            return self._as_observed(told, found and trimmed("jobs", found), kept, events, confirmed=True)

    def forget(self, job: str) -> None:
        """Nobody asks about this one any more."""
        with self._lock:
            if self._wanted is None:
                self._seen.pop(job, None)
                self._forgotten.add(job)
            elif (seen := self._seen.get(job)) is not None and (seen.job is None or is_finished(seen.job)):
                # One that goes on may be asked about again.
                del self._seen[job]

    # Sink -----------------------------------------------------------------------------------------------------------------------

    def replace(self, resource: str, listing: Listing) -> None:
        """See ``Sink``."""
        here: dict[tuple[str, str], Json] = {}
        for found in listing.items:
            if job := job_name_of(resource, found):
                here[job, found["metadata"]["name"]] = found
        for found in listing.items:
            self.take(resource, "MODIFIED", found)
        for job, gone in self._not_in(resource, here, int(listing.version)):
            self._take(resource, job, "DELETED", gone)
        with self._lock:
            self._listed.add(resource)
            if len(self._listed) == len(RESOURCES):
                self._synced.set()

    def take(self, resource: str, kind: str, found: Json) -> None:
        """See ``Sink``."""
        job = job_name_of(resource, found)
        if job is not None:
            self._take(resource, job, kind, trimmed(resource, found))

    def trouble(self, resource: str, error: KubeError | None) -> None:
        """See ``Sink``."""
        with self._lock:
            before = self._trouble.pop(resource, None)
            if error is not None:
                self._trouble[resource] = error
        if before is not None and error is None:
            self._answers()

    # Inside -----------------------------------------------------------------------------------------------------------------------

    def _take(self, resource: str, job: str, kind: str, found: Json) -> None:
        with self._lock:
            if job in self._forgotten:
                return
            if self._wanted is not None and not self._wanted(job) and _is_over(resource, kind, found):
                self._seen.pop(job, None)
                return
            seen = self._seen.setdefault(job, _Seen())
            if resource == "jobs":
                if _version(found) < _version(seen.job):
                    return
                seen.job = None if kind == "DELETED" else found
            else:
                self._take_pod(seen, kind, found)
        self._changed(job)

    def _take_pod(self, seen: _Seen, kind: str, pod: Json) -> None:
        name = pod["metadata"]["name"]
        if _version(pod) < _version(seen.pods.get(name)) or name in seen.vanished:
            return
        if kind == "DELETED":
            seen.pods.pop(name, None)
            seen.vanished[name] = pod
            return
        seen.pods[name] = pod
        waiting = waiting_state(pod)
        reason = str(waiting.get("reason") or "")
        if reason == seen.waits_for:
            return
        # Each fall from back-off into a new error is a new answer of the registry.
        if reason in IMAGE_WAITS[:1] and is_clear_refusal(str(waiting.get("message") or "")):
            seen.refusals += 1
        seen.waits_for, seen.waits_since = reason, self._clock()

    def _not_in(self, resource: str, here: Mapping[tuple[str, str], Json], version: int) -> list[tuple[str, Json]]:
        """What was known and is not in a list of that version; a list from a cache may be older than what is known."""
        with self._lock:
            known = (
                [(job, s.job) for job, s in self._seen.items() if s.job is not None]
                if resource == "jobs"
                else [(job, pod) for job, s in self._seen.items() for pod in s.pods.values()]
            )
        return [(j, o) for j, o in known if (j, o["metadata"]["name"]) not in here and _version(o) <= version]

    def _as_observed(
        self, seen: _Seen, job: Json | None, pods: Sequence[Json], events: Sequence[Json], *, confirmed: bool
    ) -> Observed:
        waits = self._clock() - seen.waits_since if seen.waits_for else 0.0
        vanished = list(seen.vanished.values())
        return Observed(job, pods, vanished, events, confirmed, seen.refusals, waits)


def _is_over(resource: str, kind: str, found: Json) -> bool:
    return kind == "DELETED" or (is_finished(found) if resource == "jobs" else has_ended(found))


def _version(found: Json | None) -> int:
    text = (found or {}).get("metadata", {}).get("resourceVersion") or "0"
    return int(text) if text.isdigit() else 0
