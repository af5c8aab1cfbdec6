"""What the log keeps of a pod."""

from __future__ import annotations

from typing import Any

from runplane.kube.observed import Observed
from runplane.kube.pod_story import has_started, pod_story

JOB = {"metadata": {"name": "step", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}}
SCHEDULED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}
AT = 1767225600.0


def pod(
    state: dict[str, Any] | None = None, *conditions: dict[str, Any], node: str | None = "node-1"
) -> dict[str, Any]:
    statuses = [{"name": "main", "state": state}] if state is not None else []
    return {
        "metadata": {"name": "step-abcde", "namespace": "team", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "main"}], **({"nodeName": node} if node else {})},
        "status": {"phase": "Running", "conditions": list(conditions), "containerStatuses": statuses},
    }


def test_a_pod_that_runs() -> None:
    found = pod_story(Observed(JOB, [pod({"running": {"startedAt": "2026-01-01T00:00:03Z"}}, SCHEDULED)]))

    assert found == {
        "namespace": "team",
        "job": "step",
        "pod": "step-abcde",
        "node": "node-1",
        "created_at": AT,
        "scheduled_at": AT + 1,
        "started_at": AT + 3,
    }
    assert has_started(found)


def test_a_pod_that_was_seen_ended_only_and_whose_job_is_gone() -> None:
    ended = {"terminated": {"exitCode": 1, "startedAt": "2026-01-01T00:00:03Z"}}

    found = pod_story(Observed(None, [], [pod(ended, SCHEDULED)]))

    assert found is not None
    assert (found["created_at"], found["started_at"], "job" in found) == (AT, AT + 3, False)


def test_a_pod_without_a_node_and_no_pod() -> None:
    found = pod_story(Observed(JOB, [pod(node=None)]))

    assert found == {"namespace": "team", "job": "step", "pod": "step-abcde", "created_at": AT}
    assert not has_started(found)
    assert pod_story(Observed(JOB)) is None
