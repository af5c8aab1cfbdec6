"""What the API server does with a request: reads, writes, subresources, roles."""

from __future__ import annotations

import base64
import json
import random
import re
import secrets
from collections.abc import Mapping
from typing import Any

from .faults import Faults
from .http_server import BOOKMARK_S, Answer
from .patches import merged
from .paths import KINDS, OF_GROUP, Address
from .selectors import selector
from .store import Json, Refusal, Store, now_text

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
_LABEL = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")


class Api:
    """Answers requests from the store.

    Attributes:
        denied: verb and resource pairs (``("watch", "pods")``) that the role does not have.
        denied_to: the same of other users, for whoever asks about them.
        token: the one that is accepted; None: any.
        strict_namespaces: a namespace has to exist before something is made in it.
    """

    def __init__(self, store: Store, faults: Faults) -> None:
        self.store = store
        self.faults = faults
        self.denied: set[tuple[str, str]] = set()
        self.denied_to: dict[str, set[tuple[str, str]]] = {}
        self.token: str | None = None
        self.bookmark_s = BOOKMARK_S
        self.logs: dict[tuple[str, str], Any] = {}

    def check_role(self, address: Address) -> None:
        """Raises Refusal (403) for what the role does not have."""
        if self._is_denied(address.verb, address.resource):
            raise Refusal(
                403,
                "Forbidden",
                f'{address.resource} is forbidden: User "system:serviceaccount:default:test" cannot {address.verb} '
                f'resource "{address.resource}" in the namespace "{address.namespace}"',
            )

    def answer(self, address: Address, body: Json) -> tuple[int, Answer]:
        """Do what was asked; status and body.

        Raises:
            Refusal: what is answered instead.
        """
        resource = address.resource
        if resource in ("selfsubjectaccessreviews", "localsubjectaccessreviews"):
            return 201, self._review(body)
        if resource == "pods/log":
            return 200, self._log(address)
        if resource == "pods/eviction":
            self.begin_deletion("pods", address.namespace or "", address.name or "", None)
            return 201, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        if address.verb == "list":
            return 200, self._list(address)
        if address.verb == "get":
            return 200, self.store.get(resource, address.namespace or "", address.name or "")
        if address.verb == "create":
            return 201, self._create(address, body)
        if address.verb == "patch":
            return 200, self._patch(address, body)
        if address.verb == "delete":
            return 200, self._delete(address, body)
        raise Refusal(405, "MethodNotAllowed", f"{address.verb} is not done here")

    def _list(self, address: Address) -> Json:
        objects, version = self.store.all(address.resource, address.namespace)
        selects = selector(address.query.get("labelSelector", ""), address.query.get("fieldSelector", ""))
        found = [o for o in objects if selects(o)]
        meta: Json = {"resourceVersion": str(version)}
        if limit := int(address.query.get("limit") or 0):
            token = address.query.get("continue", "")
            skip = json.loads(base64.urlsafe_b64decode(token))["skip"] if token else 0
            if skip + limit < len(found):
                meta["continue"] = base64.urlsafe_b64encode(json.dumps({"skip": skip + limit}).encode()).decode()
                meta["remainingItemCount"] = len(found) - skip - limit
            found = found[skip : skip + limit]
        group = OF_GROUP.get(address.resource, "v1")
        return {"kind": KINDS[address.resource] + "List", "apiVersion": group, "metadata": meta, "items": found}

    def _create(self, address: Address, body: Json) -> Json:
        meta = dict(body.get("metadata") or {})
        if "name" not in meta and "generateName" in meta:
            meta["name"] = meta["generateName"] + suffix()
        _check(meta)
        if address.namespace is not None:
            if meta.setdefault("namespace", address.namespace) != address.namespace:
                raise Refusal(400, "BadRequest", "the namespace of the object does not match the request")
            if self.store.find("namespaces", "", address.namespace) is None:
                raise Refusal(404, "NotFound", f'namespaces "{address.namespace}" not found')
        new = {"apiVersion": OF_GROUP.get(address.resource, "v1"), "kind": KINDS[address.resource], **body}
        return self.store.create(address.resource, {**new, "metadata": meta})

    def _delete(self, address: Address, body: Json) -> Json:
        namespace, name = address.namespace or "", address.name or ""
        found = self.store.get(address.resource, namespace, name)
        wanted = (body.get("preconditions") or {}).get("uid")
        if wanted is not None and wanted != found["metadata"]["uid"]:
            raise Refusal(409, "Conflict", f"the UID in the precondition ({wanted}) does not match the UID in record")
        grace = body.get("gracePeriodSeconds", address.query.get("gracePeriodSeconds"))
        if address.resource == "pods":
            self.begin_deletion("pods", namespace, name, None if grace is None else int(grace))
            return found
        # Without a policy, the Jobs of batch/v1 leave their pods behind: what the API server does.
        policy = body.get("propagationPolicy") or address.query.get("propagationPolicy") or "Orphan"
        if address.resource == "jobs" and policy != "Background":
            self.store.edit("jobs", namespace, name, lambda o: _with_finalizer(o, policy))
        else:
            self.store.remove(address.resource, namespace, name)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"uid": found["metadata"]["uid"]}}

    def _patch(self, address: Address, body: Json) -> Json:
        wanted = (body.get("metadata") or {}).get("uid")

        def change(found: Json) -> None:
            if wanted not in (None, found["metadata"]["uid"]):
                name = f'{found["kind"]} "{address.name}"'
                told = f'{name} is invalid: metadata.uid: Invalid value: "{wanted}": field is immutable'
                raise Refusal(422, "Invalid", told)
            found.update(merged(found, body))

        return self.store.edit(address.resource, address.namespace or "", address.name or "", change)

    def begin_deletion(self, resource: str, namespace: str, name: str, grace_s: int | None) -> None:
        """Mark it as being deleted: what runs it ends it, and then takes it away."""

        def mark(found: Json) -> None:
            given = grace_s if grace_s is not None else found["spec"].get("terminationGracePeriodSeconds", 30)
            meta = found["metadata"]
            if "deletionTimestamp" not in meta or given < meta.get("deletionGracePeriodSeconds", given):
                meta["deletionTimestamp"] = now_text()
                meta["deletionGracePeriodSeconds"] = given

        self.store.edit(resource, namespace, name, mark)

    def _log(self, address: Address) -> str:
        self.store.get("pods", address.namespace or "", address.name or "")
        read = self.logs.get((address.namespace or "", address.name or ""), lambda: "")
        lines = read().splitlines(keepends=True)
        tail = address.query.get("tailLines")
        text = "".join(lines[-int(tail) :] if tail else lines)
        limit = address.query.get("limitBytes")
        return text[: int(limit)] if limit else text

    def _review(self, body: Json) -> Json:
        asked: Mapping[str, str] = body["spec"]["resourceAttributes"]
        resource = asked["resource"] + (f"/{asked['subresource']}" if asked.get("subresource") else "")
        denied = self.denied_to.get(body["spec"].get("user", ""), self.denied)
        return {**body, "status": {"allowed": not _is_among(denied, asked["verb"], resource)}}

    def _is_denied(self, verb: str, resource: str) -> bool:
        return _is_among(self.denied, verb, resource)


def _is_among(denied: set[tuple[str, str]], verb: str, resource: str) -> bool:
    return not denied.isdisjoint({(verb, resource), (verb, "*"), ("*", resource), ("*", "*")})


def suffix() -> str:
    """Five letters, as Kubernetes adds them."""
    return "".join(random.Random(secrets.randbits(64)).choices("bcdfghjklmnpqrstvwxz2456789", k=5))


def _with_finalizer(job: Json, policy: str) -> None:
    meta = job["metadata"]
    meta.setdefault("deletionTimestamp", now_text())
    meta["finalizers"] = ["foregroundDeletion" if policy == "Foreground" else "orphan"]


def _check(meta: Mapping[str, Any]) -> None:
    name = str(meta.get("name", ""))
    if not _NAME.match(name) or len(name) > 253:
        raise Refusal(422, "Invalid", f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain')
    for key, value in (meta.get("labels") or {}).items():
        if not isinstance(value, str) or len(value) > 63 or not _LABEL.match(value):
            raise Refusal(422, "Invalid", f'metadata.labels: Invalid value: "{value}": label {key}')
