"""Which Job this process is a pod of: the owner of the Jobs that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .client import KubeClient
from .errors import KubeError
from .pod_account import SERVICE_ACCOUNT

SHORT_TTL_S = 3600
"""A Job that is deleted so soon after its end may be gone before another worker has taken its steps over."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who is to own Jobs that are made here.

    Attributes:
        owner: an entry for ``ownerReferences``, or None.
        why_not: why there is none, for a person.
        remark: what a person should know of the owner.
    """

    owner: Mapping[str, Any] | None
    why_not: str = ""
    remark: str = ""


def ownership(
    client: KubeClient, namespace: str, environ: Mapping[str, str], service_account: Path = SERVICE_ACCOUNT
) -> Ownership:
    """The Job that this process' pod belongs to, if it may own Jobs of `namespace`.

    A pod is no owner: it is gone before another worker of the run could take over what it owns.
    """
    own = service_account / "namespace"
    if not own.is_file() or "HOSTNAME" not in environ:
        return Ownership(None, "this process is no pod")
    here = own.read_text().strip()
    if here != namespace:
        return Ownership(None, f"this pod is in namespace {here}, and the Jobs are made in {namespace}")
    try:
        return _of_pod(client, here, environ["HOSTNAME"])
    except KubeError as error:
        return Ownership(None, f"this pod's Job can not be looked up: {error}")


def _of_pod(client: KubeClient, namespace: str, name: str) -> Ownership:
    pod = client.get_pod(namespace, name)
    if pod is None:
        return Ownership(None, f"there is no pod {name} in namespace {namespace}")
    job = next((o for o in pod["metadata"].get("ownerReferences") or () if o.get("kind") == "Job"), None)
    if job is None:
        return Ownership(None, f"pod {name} belongs to no Job")
    if not client.can_i("patch", "jobs", namespace, group="batch"):
        return Ownership(None, "the role lacks the verb patch for jobs, which a worker that takes the run over needs")
    found = client.get_job(namespace, job["name"])
    ttl = ((found or {}).get("spec") or {}).get("ttlSecondsAfterFinished")
    remark = ""
    if ttl is not None and ttl < SHORT_TTL_S:
        remark = (
            f"The run's Job owns the Jobs of its steps, and is deleted {ttl} seconds after its end: steps that run go with it if no other "
            "worker has taken the run over by then"
        )
    return Ownership({"apiVersion": "batch/v1", "kind": "Job", "name": job["name"], "uid": job["uid"]}, remark=remark)
