"""One client: plain JSON in and out, one pool of connections, errors by what the caller can do about them.

Reads, deletes and patches that get no answer are asked again a few times; a create is asked once, since only the caller knows
whether a Job that is there already is its own.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from .access import ClusterAccess
from .connections import BaseHTTPResponse, urllib3
from .create_limit import OF_PROCESS, CreateLimit
from .errors import KubeError, KubeNotFoundError, KubeUnavailableError, error_of

Json = dict[str, Any]
REQUEST_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
TRIES = 4
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
PAGE = 500
CONNECTIONS = 40
_BATCH, _CORE = "/apis/batch/v1", "/api/v1"
_COLLECTIONS = {"jobs": _BATCH, "pods": _CORE, "events": _CORE, "resourcequotas": _CORE}
_REVIEWS = "/apis/authorization.k8s.io/v1"
_MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects, and the version that they are of: a watch may begin there."""

    items: Sequence[Json]
    version: str


class WatchStream:
    """An open watch. Iterate it once: ``ADDED``, ``MODIFIED``, ``DELETED`` or ``BOOKMARK``, with the object.

    Raises, when iterated:
        KubeExpiredError: the version is too old.
        KubeUnavailableError: the connection broke, or nothing came.
    """

    def __init__(self, answer: BaseHTTPResponse, where: str) -> None:
        self._answer = answer
        self._where = where

    def __iter__(self) -> Iterator[tuple[str, Json]]:
        try:
            for line in self._lines():
                told = json.loads(line)
                if told["type"] == "ERROR":
                    status: Json = told["object"]
                    raise error_of(int(status.get("code") or 500), json.dumps(status).encode(), self._where)
                yield told["type"], told["object"]
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise KubeUnavailableError(f"the watch broke off: {_words(error)}", where=self._where) from error
        finally:
            self._answer.close()

    def close(self) -> None:
        """Wake whoever reads it in another thread: it breaks off."""
        try:
            self._answer.shutdown()
        except (OSError, RuntimeError, ValueError):
            return  # it is closed already

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        for chunk in self._answer.stream(None):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from filter(None, lines)


class KubeClient:
    """Speaks to one cluster. Any thread may use it.

    Args:
        access: where and as whom.
        request_timeout_s: how long one answer may take.
        limit: how fast it creates.
    """

    def __init__(
        self, access: ClusterAccess, *, request_timeout_s: float = REQUEST_TIMEOUT_S, limit: CreateLimit = OF_PROCESS
    ) -> None:
        self.namespace = access.namespace
        self.source = access.source
        self._access = access
        self._timeout_s = request_timeout_s
        self._limit = limit
        self._lock = threading.Lock()
        self._connect()

    # Jobs -----------------------------------------------------------------------------------------------------------------------

    def create_job(self, namespace: str, manifest: Mapping[str, Any]) -> Json:
        """Create a Job; asked once.

        Raises:
            KubeConflictError: there is one of that name.
            KubeUnavailableError: no answer; it may have been created.
            KubeQuotaError, KubeRefusedError: it was not.
        """
        self._limit.wait()
        try:
            return self._ask("POST", _path("jobs", namespace), body=manifest)
        except KubeUnavailableError as error:
            if error.retry_after_s is not None:
                self._limit.pause(error.retry_after_s)
            raise

    def get_job(self, namespace: str, name: str) -> Json | None:
        """The Job as etcd has it; None: it is not there."""
        return self._get("jobs", namespace, name)

    def list_jobs(self, namespace: str, selector: str, *, cached: bool = False) -> Listing:
        """Jobs by labels; `cached`: what the API server remembers will do, which may be some seconds old."""
        return self._list("jobs", namespace, {"labelSelector": selector}, cached)

    def patch_job(self, namespace: str, name: str, patch: Mapping[str, Any]) -> Json:
        """Merge this into the Job."""
        return self._patiently("PATCH", _path("jobs", namespace, name), body=patch, content_type=_MERGE_PATCH)

    def delete_job(
        self,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        grace_s: int | None = None,
        propagation: str = "Background",
    ) -> bool:
        """Delete the Job, and its pods with it. False: it is not there.

        Args:
            uid: only this one; a newer one of the same name stays.
            grace_s: seconds of grace; None: what the pods say.
            propagation: ``Background``, ``Foreground`` or ``Orphan``.

        Raises:
            KubeConflictError: the one that is there has another uid.
        """
        return self._delete("jobs", namespace, name, uid, grace_s, propagation)

    # Pods -----------------------------------------------------------------------------------------------------------------------

    def get_pod(self, namespace: str, name: str) -> Json | None:
        """The pod as etcd has it; None: it is not there."""
        return self._get("pods", namespace, name)

    def list_pods(self, namespace: str, selector: str, *, cached: bool = False) -> Listing:
        """Pods by labels, as ``list_jobs``."""
        return self._list("pods", namespace, {"labelSelector": selector}, cached)

    def delete_pod(self, namespace: str, name: str, *, uid: str | None = None, grace_s: int | None = None) -> bool:
        """Delete a pod, as ``delete_job``."""
        return self._delete("pods", namespace, name, uid, grace_s, None)

    def pod_log(self, namespace: str, name: str, container: str | None = None, *, tail_lines: int = 25) -> str:
        """The end of what the container printed.

        Raises:
            KubeError: there is no log (yet, or any more).
        """
        query: dict[str, str] = {"tailLines": str(tail_lines), "limitBytes": str(64 * 1024)}
        query |= {"container": container} if container else {}
        return self._patiently_bytes("GET", _path("pods", namespace, name, "log"), query).decode(errors="replace")

    def follow_log(self, namespace: str, name: str, container: str | None, *, stall_s: float) -> Iterator[bytes]:
        """What the container prints from its beginning on, as it comes, until it ends.

        Raises, also when iterated:
            KubeUnavailableError: the connection broke, or nothing came for `stall_s`. KubeError: there is no log.
        """
        query = {"follow": "true", **({"container": container} if container else {})}
        path = _path("pods", namespace, name, "log")
        answer = self._open("GET", path, query, None, "", stall_s)
        try:
            yield from answer.stream(16 * 1024)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise KubeUnavailableError(f"the log broke off: {_words(error)}", where=f"GET {path}") from error
        finally:
            answer.close()

    # Both -----------------------------------------------------------------------------------------------------------------------

    def list_objects(self, resource: str, namespace: str, selector: str, *, cached: bool = False) -> Listing:
        """``jobs``, ``pods`` or ``resourcequotas`` by labels."""
        return self._list(resource, namespace, {"labelSelector": selector}, cached)

    def watch(
        self, resource: str, namespace: str, selector: str, version: str, *, timeout_s: float, stall_s: float
    ) -> WatchStream:
        """What happens from that version on. Ends when the server ends it.

        Args:
            timeout_s: how long the server may keep it open.
            stall_s: nothing came for so long, not even a bookmark: the connection is given up.

        Raises:
            KubeUnavailableError: no answer.
            KubeForbiddenError: the role does not have the verb.
        """
        query = {
            "watch": "1",
            "labelSelector": selector,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(timeout_s)),
        }
        answer = self._open("GET", _path(resource, namespace), query, None, "", stall_s)
        return WatchStream(answer, f"watch {resource} in namespace {namespace}")

    def events_of(self, namespace: str, uid: str) -> list[Json]:
        """The events about an object, as far as the cluster remembers them (an hour, mostly)."""
        return list(self._list("events", namespace, {"fieldSelector": f"involvedObject.uid={uid}"}, cached=True).items)

    def failed_creates(self, namespace: str) -> list[Json]:
        """The events that say why the Job controller could not create a pod, of all Jobs there."""
        fields = "reason=FailedCreate,involvedObject.kind=Job"
        return list(self._list("events", namespace, {"fieldSelector": fields}, cached=True).items)

    def can_i(
        self,
        verb: str,
        resource: str,
        namespace: str,
        *,
        group: str = "",
        subresource: str = "",
        user: str | None = None,
    ) -> bool:
        """Whether our role allows this, or another user's (which takes the right to ask: LocalSubjectAccessReview)."""
        attributes = {"verb": verb, "resource": resource, "namespace": namespace, "group": group}
        attributes |= {"subresource": subresource} if subresource else {}
        kind, path = "SelfSubjectAccessReview", f"{_REVIEWS}/selfsubjectaccessreviews"
        spec: Json = {"resourceAttributes": attributes}
        body: Json = {"apiVersion": "authorization.k8s.io/v1"}
        if user is not None:
            kind, path = (
                "LocalSubjectAccessReview",
                f"{_REVIEWS}/namespaces/{quote(namespace)}/localsubjectaccessreviews",
            )
            spec, body["metadata"] = {**spec, "user": user}, {"namespace": namespace}
        answer = self._patiently("POST", path, body={**body, "kind": kind, "spec": spec})
        return bool(answer["status"]["allowed"])

    def server_version(self) -> tuple[int, int]:
        """Major and minor version of the API server."""
        told = self._patiently("GET", "/version")
        return int(told["major"]), int("".join(c for c in told["minor"] if c.isdigit()))

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    # Inside -----------------------------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._endpoint = self._access.load()
        self._pool = self._endpoint.pool(CONNECTIONS)

    def _get(self, resource: str, namespace: str, name: str) -> Json | None:
        try:
            return self._patiently("GET", _path(resource, namespace, name))
        except KubeNotFoundError:
            return None

    def _list(self, resource: str, namespace: str, query: Mapping[str, str], cached: bool) -> Listing:
        items: list[Json] = []
        # What comes from the cache comes in one piece; a consistent read is asked for in pages, which etcd serves better.
        ask = {**query, **({"resourceVersion": "0"} if cached else {"limit": str(PAGE)})}
        while True:
            page = self._patiently("GET", _path(resource, namespace), ask)
            items += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return Listing(items, page["metadata"]["resourceVersion"])
            ask = {**ask, "continue": token}

    def _delete(
        self, resource: str, namespace: str, name: str, uid: str | None, grace_s: int | None, propagation: str | None
    ) -> bool:
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
        body |= {"preconditions": {"uid": uid}} if uid else {}
        body |= {"gracePeriodSeconds": grace_s} if grace_s is not None else {}
        body |= {"propagationPolicy": propagation} if propagation else {}
        try:
            self._patiently("DELETE", _path(resource, namespace, name), body=body)
        except KubeNotFoundError:
            return False
        return True

    def _patiently(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        answer: Json = json.loads(self._patiently_bytes(method, path, query, body, content_type))
        return answer

    def _patiently_bytes(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        delay = FIRST_DELAY_S
        for _ in range(TRIES - 1):
            try:
                return self._bytes(method, path, query, body, content_type)
            except KubeUnavailableError as error:
                time.sleep(min(error.retry_after_s or delay * (0.5 + random.random()), LONGEST_DELAY_S))
                delay *= 2
        return self._bytes(method, path, query, body, content_type)

    def _ask(self, method: str, path: str, body: Mapping[str, Any]) -> Json:
        answer: Json = json.loads(self._bytes(method, path, None, body, "application/json"))
        return answer

    def _bytes(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        content_type: str,
    ) -> bytes:
        where = f"{method} {path}"
        answer = self._open(method, path, query, body, content_type, self._timeout_s)
        try:
            return answer.read()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise KubeUnavailableError(f"the answer broke off: {_words(error)}", where=where) from error
        finally:
            answer.release_conn()

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        content_type: str,
        timeout_s: float,
    ) -> BaseHTTPResponse:
        """An answer whose status is good, its body unread."""
        used = self._pool
        try:
            return self._try(used, method, path, query, body, content_type, timeout_s)
        except KubeError as error:
            if error.status != 401:
                raise
        with self._lock:
            # A service account's token is replaced each hour, a person's now and then: read it again, once.
            if self._pool is used:
                self._connect()
        return self._try(self._pool, method, path, query, body, content_type, timeout_s)

    def _try(
        self,
        pool: urllib3.PoolManager,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        content_type: str,
        timeout_s: float,
    ) -> BaseHTTPResponse:
        where = f"{method} {path}"
        url = f"{self._endpoint.host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            answer: BaseHTTPResponse = pool.request(
                method,
                url,
                body=json.dumps(body) if body is not None else None,
                headers=self._headers(content_type),
                timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, timeout_s), read=timeout_s),
                retries=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise KubeUnavailableError(f"no answer: {_words(error)}", where=f"{where} at {self.source}") from error
        if answer.status < 300:
            return answer
        try:
            text = answer.read()
        except (urllib3.exceptions.HTTPError, OSError):
            text = b""
        answer.release_conn()
        raise error_of(answer.status, text, where, answer.headers.get("Retry-After"))

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": "runplane"}
        with self._lock:
            headers |= self._endpoint.headers()
        return headers


def _path(resource: str, namespace: str, name: str | None = None, sub: str | None = None) -> str:
    parts = [_COLLECTIONS[resource], "namespaces", quote(namespace, safe=""), resource]
    parts += [quote(part, safe="") for part in (name, sub) if part is not None]
    return "/".join(parts)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
