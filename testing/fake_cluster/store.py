"""The objects, their versions, and what happened to them lately: what etcd and the API server's cache are to a cluster."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

Json = dict[str, Any]
HISTORY = 20_000
"""Changes that a watch may still ask for, per resource."""


class Refusal(Exception):
    """What the API answers instead of the object: an HTTP status with a reason.

    Args:
        code: the HTTP status.
        reason: as Kubernetes names it (``NotFound``, ``AlreadyExists``, ``Expired``, ...).
        message: for people.
        retry_after: seconds for the header ``Retry-After``.
    """

    def __init__(self, code: int, reason: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after

    def status(self) -> Json:
        """The body of the answer."""
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        return {**status, "message": self.message, "reason": self.reason, "code": self.code}


@dataclass(frozen=True)
class Change:
    """One thing that happened: ``ADDED``, ``MODIFIED`` or ``DELETED``, and the object after it."""

    version: int
    type: str
    object: Json
    text: bytes


@dataclass
class _Shelf:
    """All objects of one resource."""

    objects: dict[tuple[str, str], Json] = field(default_factory=dict)
    changes: deque[Change] = field(default_factory=lambda: deque(maxlen=HISTORY))
    forgotten: int = 0


class Store:
    """Objects by resource, namespace and name. An object that was given out is never changed: a change is a new object."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.version = 1
        self._shelves: dict[str, _Shelf] = {}
        self._listeners: list[Callable[[str, Change], None]] = []

    def listen(self, listener: Callable[[str, Change], None]) -> None:
        """Call this with the resource and each change, under the lock: it must return at once."""
        self._listeners.append(listener)

    def create(self, resource: str, new: Mapping[str, Any]) -> Json:
        """Store a new object.

        Raises:
            Refusal: 409, there is one of that name.
        """
        meta = new["metadata"]
        where = (meta.get("namespace", ""), meta["name"])
        with self.changed:
            if where in self._shelf(resource).objects:
                raise Refusal(409, "AlreadyExists", f'{resource} "{meta["name"]}" already exists')
            made = {"uid": str(uuid.uuid4()), "creationTimestamp": now_text(), **meta}
            return self._put(resource, "ADDED", where, {**new, "metadata": made})

    def get(self, resource: str, namespace: str, name: str) -> Json:
        """The object as it is.

        Raises:
            Refusal: 404.
        """
        with self.changed:
            found = self._shelf(resource).objects.get((namespace, name))
        if found is None:
            raise Refusal(404, "NotFound", f'{resource} "{name}" not found')
        return found

    def find(self, resource: str, namespace: str, name: str) -> Json | None:
        """The object, or None."""
        with self.changed:
            return self._shelf(resource).objects.get((namespace, name))

    def all(self, resource: str, namespace: str | None = None) -> tuple[list[Json], int]:
        """All objects (of a namespace), by name, and the version that they are of."""
        with self.changed:
            objects = self._shelf(resource).objects
            found = [o for (ns, _), o in sorted(objects.items()) if namespace is None or ns == namespace]
            return found, self.version

    def edit(self, resource: str, namespace: str, name: str, change: Callable[[Json], None]) -> Json:
        """Change a copy of the object and store it.

        Raises:
            Refusal: 404.
        """
        with self.changed:
            copy: Json = json.loads(json.dumps(self.get(resource, namespace, name)))
            before = json.dumps(copy, sort_keys=True)
            change(copy)
            if json.dumps(copy, sort_keys=True) == before:
                return copy
            return self._put(resource, "MODIFIED", (namespace, name), copy)

    def remove(self, resource: str, namespace: str, name: str) -> None:
        """Take the object away; nothing happens when it is gone already."""
        with self.changed:
            shelf = self._shelf(resource)
            gone = shelf.objects.pop((namespace, name), None)
            if gone is not None:
                self._note(resource, "DELETED", json.loads(json.dumps(gone)))

    def forget(self, resource: str, version: int | None = None) -> None:
        """What happened up to now, or before a version, can not be watched any more: older versions get 410."""
        with self.changed:
            shelf = self._shelf(resource)
            if version is None:
                shelf.changes.clear()
                self.version += 1
            shelf.forgotten = self.version if version is None else version
            self.changed.notify_all()

    def since(self, resource: str, version: int) -> Iterator[Change]:
        """What happened after that version, as far as it is remembered.

        Raises:
            Refusal: 410.
        """
        with self.changed:
            shelf = self._shelf(resource)
            oldest = shelf.changes[0].version if len(shelf.changes) == HISTORY else 0
            if version < max(shelf.forgotten, oldest - 1):
                raise Refusal(410, "Expired", f"too old resource version: {version} ({self.version})")
            newer: list[Change] = []
            for change in reversed(shelf.changes):
                if change.version <= version:
                    break
                newer.append(change)
        return reversed(newer)

    def wait(self, version: int, seconds: float) -> None:
        """Until something is newer than that version, or the time is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.version > version, seconds)

    def _shelf(self, resource: str) -> _Shelf:
        return self._shelves.setdefault(resource, _Shelf())

    def _put(self, resource: str, what: str, where: tuple[str, str], new: Json) -> Json:
        self._shelf(resource).objects[where] = new
        self._note(resource, what, new)
        return new

    def _note(self, resource: str, what: str, new: Json) -> None:
        self.version += 1
        new["metadata"]["resourceVersion"] = str(self.version)
        change = Change(self.version, what, new, json.dumps({"type": what, "object": new}).encode() + b"\n")
        self._shelf(resource).changes.append(change)
        for listener in self._listeners:
            listener(resource, change)
        self.changed.notify_all()


def now_text(at: float | None = None) -> str:
    """A time as the API writes it: whole seconds."""
    return datetime.fromtimestamp(time.time() if at is None else at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
