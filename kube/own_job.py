"""Which Job this process is a pod of: the owner of the Jobs that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .access import SERVICE_ACCOUNT
from .client import KubeClient
from .errors import KubeError


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who is to own Jobs that are made here.

    Attributes:
        owner: an entry for ``ownerReferences``, or None.
        why_not: why there is none, for a person.
    """

    owner: Mapping[str, Any] | None
    why_not: str = ""


def ownership(
    client: KubeClient, namespace: str, environ: Mapping[str, str], service_account: Path = SERVICE_ACCOUNT
) -> Ownership:
    """The Job that this process' pod belongs to (the pod itself, where it has none), if it may own Jobs of `namespace`."""
    own = service_account / "namespace"
    if not own.is_file() or "HOSTNAME" not in environ:
        return Ownership(None, "this process is no pod")
    here = own.read_text().strip()
    if here != namespace:
        return Ownership(None, f"this pod is in namespace {here}, and the Jobs are made in {namespace}")
    try:
        pod = client.get_pod(here, environ["HOSTNAME"])
    except KubeError as error:
        return Ownership(None, f"this pod can not be looked up: {error}")
    if pod is None:
        return Ownership(None, f"there is no pod {environ['HOSTNAME']} in namespace {here}")
    if not client.can_i("patch", "jobs", namespace, group="batch"):
        return Ownership(None, "the role lacks the verb patch for jobs, which a worker that takes the run over needs")
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == "Job":
            return Ownership(_reference("batch/v1", "Job", owner["name"], owner["uid"]))
    return Ownership(_reference("v1", "Pod", pod["metadata"]["name"], pod["metadata"]["uid"]))


def _reference(version: str, kind: str, name: str, uid: str) -> Mapping[str, Any]:
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid}
