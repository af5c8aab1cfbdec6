"""Which objects of a cluster nobody needs any more, by what the database says of their runs."""

from __future__ import annotations

from typing import Any

import pytest

from runplane.kube.leftovers import GRACE_S, AttemptEnd, RunInLog, Why, leftover

RUN = "3c58b39d-8a58-44ef-bca2-0e4ca8100b7a"
NOW = 1_800_000_000.0
LONG_AGO, JUST_NOW = NOW - GRACE_S - 1, NOW - GRACE_S + 1
FINISHED = {"conditions": [{"type": "Complete", "status": "True"}]}
WORKER = {"namespace": "default", "job": f"dagster-run-{RUN}-1", "uid": "u"}


def job(
    step: str | None = None, n: int = 1, instance: str = "i", status: dict[str, Any] | None = None, **meta: Any
) -> dict[str, Any]:
    name = f"dagster-step-x-{n}" if step else f"dagster-run-{RUN}{f'-{n - 1}' if n > 1 else ''}"
    labels = {"dagster/run-id": RUN, "runplane/instance-id": instance, "runplane/attempt": str(n)}
    notes = {"annotations": {"runplane/step-key": step}} if step else {}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": "u", "labels": labels, **notes, **meta},
        "spec": {},
        "status": status or {},
    }


OVER = RunInLog("FAILURE", LONG_AGO)
LIVE = RunInLog(
    "STARTED", None, WORKER, {("a", 1): AttemptEnd(LONG_AGO), ("a", 2): AttemptEnd(), ("b", 1): AttemptEnd(JUST_NOW)}
)


@pytest.mark.parametrize(
    ("found", "run", "why"),
    [
        (job("a"), OVER, Why.RUN_IS_OVER),
        (job(), OVER, Why.RUN_IS_OVER),
        (job("a"), RunInLog("SUCCESS", JUST_NOW), None),  # it may be on its way
        (job("a", status=FINISHED), OVER, None),  # for people
        (job("a"), LIVE, Why.ATTEMPT_IS_OVER),
        (job("a", 2), LIVE, None),
        (job("b"), LIVE, None),
        (job("c"), LIVE, Why.UNKNOWN),  # a database that was put back to an older state
        (job(), LIVE, Why.WORKER_IS_REPLACED),
        (job(n=2), LIVE, None),
        (job(n=3), LIVE, None),  # made just now, and not noted yet
        (job(), RunInLog("STARTED"), None),
        (job("a"), None, Why.UNKNOWN),
        (job("a", status=FINISHED), None, Why.UNKNOWN),
        (job("a", deletionTimestamp="2026-01-01T00:00:00Z"), OVER, None),
    ],
)
def test_each_job(found: dict[str, Any], run: RunInLog | None, why: Why | None) -> None:
    one = leftover("jobs", found, run, "i", NOW)

    assert (one.why if one else None) is why


def test_another_instances_objects_are_none_of_ours() -> None:
    theirs = job("a", instance="another")

    found = [leftover("jobs", theirs, run, "i", NOW) for run in (OVER, LIVE, None)]

    assert found == [None, None, None], "another instance's Job"


def test_a_foreign_job_is_its_steps_whichever_attempt_made_it() -> None:
    """The next attempt takes it over."""
    found = job("a")
    found["metadata"]["labels"]["app.kubernetes.io/component"] = "k8s_job_op"
    over = RunInLog("STARTED", None, WORKER, {("a", 1): AttemptEnd(LONG_AGO), ("a", 2): AttemptEnd(LONG_AGO)})

    assert leftover("jobs", found, LIVE, "i", NOW) is None
    assert leftover("jobs", found, over, "i", NOW) is not None


def test_a_pod_without_its_job_is_as_its_job_would_be() -> None:
    pod = job("a")
    pod["status"] = {"phase": "Running"}
    ended = {**pod, "status": {"phase": "Succeeded"}}

    assert leftover("pods", pod, OVER, "i", NOW) is not None
    assert leftover("pods", ended, OVER, "i", NOW) is None
