"""What is kept of a Job or a pod: a run may have thousands of them in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "labels")
_JOB_SPEC = ("suspend", "backoffLimit", "podFailurePolicy")
JOB_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")


def trimmed(resource: str, found: Json) -> Json:
    """The parts that anybody looks at."""
    meta = {k: found["metadata"][k] for k in (*_META, "annotations", "ownerReferences") if k in found["metadata"]}
    spec = found.get("spec") or {}
    if resource == "jobs":
        return {
            "metadata": meta,
            "spec": {k: spec[k] for k in _JOB_SPEC if k in spec},
            "status": found.get("status") or {},
        }
    containers = [{"name": c["name"]} for c in (spec.get("containers") or ())[:1]]
    kept = {"containers": containers, **({"nodeName": spec["nodeName"]} if "nodeName" in spec else {})}
    return {"metadata": meta, "spec": kept, "status": found.get("status") or {}}


def job_name_of(resource: str, found: Mapping[str, Any]) -> str | None:
    """The Job that the object is, or belongs to."""
    if resource == "jobs":
        return str(found["metadata"]["name"])
    labels = found["metadata"].get("labels") or {}
    return next((str(labels[label]) for label in JOB_NAME_LABELS if label in labels), None)
