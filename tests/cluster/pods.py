"""Jobs of tests: what the pod security level ``restricted`` asks of a pod, written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def job(
    namespace: str, name: str, image: str, args: Sequence[str], env: Mapping[str, str] | None = None, **pod: Any
) -> dict[str, Any]:
    """A Job with one pod that is not tried again."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": list(args),
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "securityContext": CONTAINER_SECURITY,
    }
    spec = {"restartPolicy": "Never", "securityContext": POD_SECURITY, "containers": [container], **pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }
