"""Pods: what runs in them is a program, which tells through a ``FakePod`` what becomes of it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .api import Api, suffix
from .store import Json, Refusal, Store, now_text

MAIN = "main"


class PodProgram(Protocol):
    """What a pod does. Called from the cluster's own thread: it may not block."""

    def start(self, pod: FakePod) -> None:
        """The pod was created."""

    def stop(self, pod: FakePod, grace_s: float) -> None:
        """The pod is being deleted: end, and say ``pod.exited`` then."""


class FakePod:
    """One pod, for what runs in it.

    Args:
        store, api: the cluster's.
        pod: the object at its creation.
        later: calls something after some seconds, in the cluster's thread.
    """

    def __init__(self, store: Store, api: Api, pod: Json, later: Callable[[float, Callable[[], None]], None]) -> None:
        self._store = store
        self._api = api
        self._later = later
        self.spec: Json = pod["spec"]
        self.name: str = pod["metadata"]["name"]
        self.namespace: str = pod["metadata"]["namespace"]
        self.uid: str = pod["metadata"]["uid"]
        self.labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
        self.annotations: Mapping[str, str] = pod["metadata"].get("annotations") or {}
        self.is_over = False
        self._started_at: str | None = None

    @property
    def container(self) -> Json:
        """The first container."""
        found: Json = self.spec["containers"][0]
        return found

    def environment(self) -> dict[str, str]:
        """What the container's process would see: config maps and secrets are looked up."""
        found: dict[str, str] = {}
        for source in self.container.get("envFrom") or ():
            kind, resource = ("configMapRef", "configmaps") if "configMapRef" in source else ("secretRef", "secrets")
            found |= self._values(resource, source[kind]["name"])
        for entry in self.container.get("env") or ():
            given = entry.get("valueFrom") or {}
            if key := given.get("secretKeyRef"):
                found[entry["name"]] = self._values("secrets", key["name"])[key["key"]]
            elif key := given.get("configMapKeyRef"):
                found[entry["name"]] = self._values("configmaps", key["name"])[key["key"]]
            elif not given:
                found[entry["name"]] = entry.get("value", "")
        return found

    def after(self, seconds: float, what: Callable[[FakePod], None]) -> None:
        """Do something later, unless the pod is over by then."""
        self._later(seconds, lambda: None if self.is_over else what(self))

    # What becomes of it -------------------------------------------------------------------------------------------------------

    def scheduled(self, node: str = "node-1") -> None:
        """It has a node."""

        def change(pod: Json) -> None:
            pod["spec"]["nodeName"] = node
            pod["status"]["startTime"] = now_text()
            _set_condition(pod, "PodScheduled", "True", "", "")

        self._edit(change)

    def waiting(self, reason: str, message: str = "") -> None:
        """Its container waits: ``ContainerCreating``, ``ErrImagePull``, ``CreateContainerConfigError``, ..."""
        self._state({"waiting": {"reason": reason, "message": message}}, "Pending")

    def running(self) -> None:
        """Its containers run."""
        self._started_at = now_text()
        self._state({"running": {"startedAt": self._started_at}}, "Running")

    def exited(self, code: int, reason: str = "", message: str = "", sidecars_run: bool = False) -> None:
        """Its main container has ended, and the pod with it unless sidecars run on."""
        ended = {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "finishedAt": now_text(),
            **({"startedAt": self._started_at} if self._started_at else {}),
        }
        phase = "Running" if sidecars_run else "Succeeded" if code == 0 else "Failed"
        self._state({"terminated": {**ended, **({"message": message} if message else {})}}, phase)

    def failed(self, reason: str, message: str, disruption: str = "") -> None:
        """The pod as a whole has failed: ``Evicted``, ``NodeLost``; `disruption`: the reason of its DisruptionTarget condition."""

        def change(pod: Json) -> None:
            pod["status"] |= {"phase": "Failed", "reason": reason, "message": message}
            if disruption:
                _set_condition(pod, "DisruptionTarget", "True", disruption, message)

        self._edit(change)

    def condition(self, kind: str, status: str, reason: str, message: str) -> None:
        """A condition of the pod."""
        self._edit(lambda pod: _set_condition(pod, kind, status, reason, message))

    def event(self, reason: str, message: str, kind: str = "Warning", count: int = 1) -> None:
        """An event about the pod."""
        emit_event(self._store, self._store.get("pods", self.namespace, self.name), reason, message, kind, count)

    def log(self, read: Callable[[], str]) -> None:
        """What ``pods/log`` answers."""
        self._api.logs[self.namespace, self.name] = read

    def vanish(self) -> None:
        """The object is gone, whatever it did."""
        self._store.remove("pods", self.namespace, self.name)

    def _state(self, state: Json, phase: str) -> None:
        def change(pod: Json) -> None:
            statuses = pod["status"].get("containerStatuses") or [
                {"name": c["name"], "restartCount": 0, "image": c.get("image", ""), "ready": False, "state": {}}
                for c in pod["spec"]["containers"]
            ]
            for i, status in enumerate(statuses):
                if i == 0 or "terminated" not in state or phase != "Running":
                    status["state"] = state
                status["ready"] = "running" in status["state"]
            pod["status"] |= {"phase": phase, "containerStatuses": statuses}
            _set_condition(pod, "Ready", "True" if phase == "Running" else "False", "", "")

        self._edit(change)

    def _edit(self, change: Callable[[Json], None]) -> None:
        try:
            self._store.edit("pods", self.namespace, self.name, change)
        except Refusal:
            self.is_over = True  # it was deleted meanwhile

    def _values(self, resource: str, name: str) -> dict[str, str]:
        found = self._store.get(resource, self.namespace, name)
        data = {k: str(v) for k, v in (found.get("stringData") or {}).items()}
        for key, value in (found.get("data") or {}).items():
            data[key] = base64.b64decode(value).decode() if resource == "secrets" else str(value)
        return data


def emit_event(store: Store, about: Json, reason: str, message: str, kind: str = "Warning", count: int = 1) -> None:
    """An event about an object."""
    meta = about["metadata"]
    store.create(
        "events",
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{suffix()}{suffix()}", "namespace": meta["namespace"]},
            "involvedObject": {"kind": about["kind"], "name": meta["name"], "uid": meta["uid"], "namespace": meta["namespace"]},
            "type": kind,
            "reason": reason,
            "message": message,
            "count": count,
            "firstTimestamp": now_text(),
            "lastTimestamp": now_text(),
        },
    )  # fmt: skip


def _set_condition(about: Json, kind: str, status: str, reason: str, message: str) -> None:
    conditions = [c for c in about["status"].get("conditions") or () if c["type"] != kind]
    stamp = {"lastTransitionTime": now_text(), "reason": reason, "message": message}
    conditions.append({"type": kind, "status": status, **stamp})
    about["status"]["conditions"] = conditions


class Script:
    """A program from functions: `start`, and `stop` (else it ends with 143 at once)."""

    def __init__(self, start: Callable[[FakePod], Any], stop: Callable[[FakePod], Any] | None = None) -> None:
        self._start = start
        self._stop = stop

    def start(self, pod: FakePod) -> None:
        """See ``PodProgram``."""
        self._start(pod)

    def stop(self, pod: FakePod, grace_s: float) -> None:
        """See ``PodProgram``."""
        if self._stop is not None:
            self._stop(pod)
        else:
            pod.exited(143)


def succeeds(pod: FakePod) -> None:
    """A pod whose container runs and ends well, at once."""
    pod.scheduled()
    pod.running()
    pod.exited(0)


def runs(pod: FakePod) -> None:
    """A pod whose container runs until it is told to end."""
    pod.scheduled()
    pod.running()
