"""What each of our processes does in a cluster: the verbs that its role needs. `examples/kubernetes/roles.yaml` and the docs say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Permission(NamedTuple):
    """One verb on one resource."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        name = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f"{self.verb} {name}"


def _jobs(*verbs: str) -> list[Permission]:
    return [Permission(verb, "jobs", "batch") for verb in verbs]


def _pods(*verbs: str) -> list[Permission]:
    return [Permission(verb, "pods") for verb in verbs]


CREATE_JOBS = Permission("create", "jobs", "batch")
TO_EXPLAIN = (Permission("get", "pods", "", "log"), Permission("list", "events"))
"""Without these runs go on, and failures are told with less."""
LAUNCHER = (*_jobs("create", "get", "delete"), *_pods("list"), *TO_EXPLAIN)
DAEMON = (*_jobs("create", "get", "list", "delete"), *_pods("list", "delete"), *TO_EXPLAIN)
"""With every loop."""
RUN_WORKER = (*_jobs("create", "get", "list", "watch", "delete"), *_pods("list", "watch", "delete"), *TO_EXPLAIN)
"""Of a run whose steps are Jobs. One whose steps are processes needs nothing, nor does a step."""
OWNER = (*_jobs("patch"), *_pods("get"))
"""More, for ``enable_owner_references``."""
ROLES: Mapping[str, Sequence[Permission]] = {"launcher": LAUNCHER, "daemon": DAEMON, "run-worker": RUN_WORKER}
