"""The end of all Jobs that a label names: for a run that nobody coordinates any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .client import KubeClient
from .errors import KubeConflictError
from .observed import has_ended, is_being_deleted, is_finished, name_of


def stop_jobs(client: KubeClient, namespace: str, selector: str) -> list[str]:
    """Delete the Jobs that are not over; their pods are told to end by the garbage collector. Jobs that are over stay for people to see.

    Returns:
        What is still there: pods in which code may run, and Jobs that may get pods.

    Raises:
        KubeError: the API did not answer, or refused.
    """
    for job in client.list_jobs(namespace, selector).items:
        if is_finished(job) or is_being_deleted(job):
            continue
        try:
            client.delete_job(namespace, name_of(job), uid=job["metadata"]["uid"])
        except KubeConflictError:
            continue  # a younger one has the name; it is found by the next look
    jobs = [job for job in client.list_jobs(namespace, selector).items if not is_finished(job)]
    pods = [pod for pod in client.list_pods(namespace, selector).items if not has_ended(pod)]
    with_pods = {pod["metadata"].get("labels", {}).get("job-name") for pod in pods}
    return [_pod_in_words(pod) for pod in pods] + [f"Job {name_of(j)}" for j in jobs if name_of(j) not in with_pods]


def _pod_in_words(pod: Mapping[str, Any]) -> str:
    node = (pod.get("spec") or {}).get("nodeName")
    return f"pod {name_of(pod)} on node {node}" if node else f"pod {name_of(pod)}, which has no node"
