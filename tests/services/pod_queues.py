"""Steps in queues whose workers make pods: a cluster in memory, its pods processes of this machine or no more than words."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.wire import read_step_args
from runplane.instance.instance import LEASE_TTL_ENV, Instance
from runplane.storage.contract import AttemptRef, Claimed
from runplane.testing.fake_cluster import FakeCluster, FakePod, ProcessPods
from services import queue_workers
from services.queue_workers import QueueSystem
from services.system import MARK_ENV, SAY

COPIED = ["BODIES", "NAP", "GATE", "DAGSTER_HOME", MARK_ENV, LEASE_TTL_ENV]
"""What a pod's process is given of the coordinator's environment."""


def code(broker: str, width: int, **config: Any) -> str:
    """The jobs of ``queue_workers`` with steps that are pods."""
    given = {"broker": broker, "job_image": "img:1", "env_vars": COPIED, **config}
    text = queue_workers.code(repr(given), width)
    assert "celery_executor.configured(" in text
    return text.replace("celery_executor", "celery_k8s_job_executor")


class CountedPods:
    """How many pods of steps whose key begins alike are there at once; to be told of begins and ends."""

    def __init__(self) -> None:
        self.most: Counter[str] = Counter()
        self.begun: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()

    def begins(self, pod: FakePod) -> None:
        """A pod is there."""
        with self._lock:
            name = _first_word(pod)
            self._now[name] += 1
            self.begun[pod.annotations["runplane/step-key"]] += 1
            self.most[name] = max(self.most[name], self._now[name])

    def ends(self, pod: FakePod) -> None:
        """It is told to be over."""
        with self._lock:
            self._now[_first_word(pod)] -= 1


def _first_word(pod: FakePod) -> str:
    return str(pod.annotations["runplane/step-key"]).partition("_")[0]


class PodProcesses(ProcessPods):
    """Pods that are processes, counted."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = CountedPods()

    def start(self, pod: FakePod) -> None:
        self.counted.begins(pod)
        super().start(pod)

    def _wait(self, pod: FakePod, process: Any) -> None:
        code = process.wait()
        self.counted.ends(pod)
        pod.exited(128 - code if code < 0 else code)


class PodWords:
    """Pods without a process: each claims its attempt, stores a success after a while, and ends. For many of them.

    Args:
        instance: where they store.
        seconds: how long each lives.

    Attributes:
        are_held: while it is true none ends.
        succeeded: how often a pod of each step came to its end.
    """

    def __init__(self, instance: Instance, seconds: float) -> None:
        self.counted = CountedPods()
        self._instance = instance
        self._seconds = seconds
        self.are_held = False
        self.succeeded: Counter[str] = Counter()

    def start(self, pod: FakePod) -> None:
        """See ``PodProgram``."""
        self.counted.begins(pod)
        pod.scheduled()
        pod.running()
        words = pod.container["args"]
        args = read_step_args(words[words.index("--compressed-input-json") + 1])
        assert args.issued is not None
        assert args.step_keys is not None
        ref = AttemptRef(args.step_keys[0], args.issued.attempt)
        begun = self._instance.journal.claim(
            args.run_id, ref, pod.uid, self._event(ref, EventKind.STEP_WORKER_STARTED), make=False
        )
        if not isinstance(begun, Claimed):
            self.counted.ends(pod)
            pod.exited(0)
            return
        pod.after(self._seconds, lambda p: self._succeed(p, args.run_id, ref, begun.nonce))

    def stop(self, pod: FakePod, grace_s: float) -> None:
        """See ``PodProgram``."""
        self.counted.ends(pod)
        pod.exited(143)

    def _succeed(self, pod: FakePod, run_id: str, ref: AttemptRef, nonce: str) -> None:
        if self.are_held:
            pod.after(0.05, lambda p: self._succeed(p, run_id, ref, nonce))
            return
        self.succeeded[ref.step] += 1
        self._instance.journal.append_as_attempt(run_id, ref, nonce, 1, [self._event(ref, EventKind.STEP_SUCCESS)])
        self.counted.ends(pod)
        pod.exited(0)

    def _event(self, ref: AttemptRef, kind: EventKind) -> NewEvent:
        return NewEvent(kind, ref.step, ref.n, {"message": str(kind)}, time.time())


class PodQueues(QueueSystem):
    """A system whose steps are pods of `cluster`, made by workers of queues."""

    def __init__(
        self, folder: Path, broker: str, cluster: FakeCluster, nap_s: float = 0.3, width: int = 1, **config: Any
    ) -> None:
        super().__init__(folder, broker, nap_s, config_source=config.get("config_source"))
        self.cluster = cluster
        self.file.write_text(SAY + code(broker, width, **config), encoding="utf-8")
        self.env |= {"RUNPLANE_PODS_ARE_LOCAL": "1", "KUBECONFIG": str(cluster.kubeconfig(folder))}

    def pods(self) -> list[str]:
        """Names of the pods that have not ended."""
        return [
            p["metadata"]["name"]
            for p in self.cluster.all_pods()
            if p["status"].get("phase") not in ("Succeeded", "Failed")
        ]
