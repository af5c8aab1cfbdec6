"""One event for each attempt that had a pod: which pod, on which node, since when. ``run show`` tells it when pod and Job are gone."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from ..events.event import NewEvent
from ..kube.observed import Observed
from ..kube.pod_story import has_started, pod_story
from ..storage.contract import AttemptRef
from .contract import engine_event


class PodNotes:
    """Tells each pod once: when its container has started, or, if that was not seen, at the attempt's or the run's end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[tuple[AttemptRef, str]] = set()

    def of(self, ref: AttemptRef, observed: Observed, *, at_end: bool = False) -> list[NewEvent]:
        """The event, if it is time for it."""
        story = pod_story(observed)
        if story is None or not (at_end or has_started(story)):
            return []
        with self._lock:
            key = (ref, str(story["pod"]))
            if key in self._told:
                return []
            self._told.add(key)
        metadata = {
            "Kubernetes Job name": story.get("job"),
            "Kubernetes Pod name": story["pod"],
            "Kubernetes Node": story.get("node"),
        }
        on = f" on node {story['node']}" if "node" in story else ""
        verb = "runs" if has_started(story) else "was to run"
        event = engine_event(
            f"Pod {story['pod']}{on} {verb} step {ref.step}, attempt {ref.n}.",
            {label: value for label, value in metadata.items() if value is not None},
            ref,
        )
        return [event._replace(body={**event.body, "pod": story})]

    def forget(self, ref: AttemptRef) -> None:
        """Nothing more comes of this attempt."""
        with self._lock:
            self._told = {key for key in self._told if key[0] != ref}

    def rest(self, seen: Iterable[tuple[AttemptRef, Observed]]) -> list[NewEvent]:
        """The events of those that were not told yet, at the run's end."""
        return [event for ref, observed in seen for event in self.of(ref, observed, at_end=True)]
