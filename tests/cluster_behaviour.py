"""What our code stands on in any cluster, asked of a real one and of the one in memory by the same tests, with the same client."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from runplane.kube.client import KubeClient
from runplane.kube.errors import KubeConflictError, KubeNotFoundError

SCRIPTS = {
    "ends well": "echo one; echo two; echo three",
    "ends badly": "exit 3",
    "runs": "trap 'exit 143' TERM; while :; do sleep 0.1; done",
    "lingers": "trap 'sleep 3; exit 143' TERM; while :; do sleep 0.1; done",
}
"""What the only container of a pod does, in words and for a shell."""


class Place:
    """A namespace of a cluster.

    Args:
        client: of the cluster, with all rights in the namespace.
        namespace: a fresh one.
        pod_spec: of a pod that does this (one of ``SCRIPTS``).
        patience_s: how long anything may take.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        pod_spec: Callable[[str], Mapping[str, Any]],
        patience_s: float,
    ) -> None:
        self.client, self.namespace = client, namespace
        self._pod_spec, self._patience_s = pod_spec, patience_s

    def create(self, name: str, does: str, owners: Any = (), **spec: Any) -> dict[str, Any]:
        """A Job whose pods do this."""
        metadata = {"name": name, "labels": {"suite": "behaviour", "does": does.replace(" ", "-")}}
        template = {"metadata": {"labels": metadata["labels"]}, "spec": self._pod_spec(does)}
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {**metadata, **({"ownerReferences": list(owners)} if owners else {})},
            "spec": {"backoffLimit": 0, "template": template, **spec},
        }
        return dict(self.client.create_job(self.namespace, job))

    def job(self, name: str) -> dict[str, Any] | None:
        """The Job, as it is now."""
        found = self.client.get_job(self.namespace, name)
        return None if found is None else dict(found)

    def conditions(self, name: str) -> list[str]:
        """Types of the Job's conditions that hold."""
        told = ((self.job(name) or {}).get("status") or {}).get("conditions") or []
        return [c["type"] for c in told if c["status"] == "True"]

    def pods(self, name: str) -> list[dict[str, Any]]:
        """The pods of a Job."""
        return list(self.client.list_pods(self.namespace, f"job-name={name}").items)

    def phases(self, name: str) -> list[str]:
        """Of its pods."""
        return [pod["status"].get("phase", "") for pod in self.pods(name)]

    def until(self, what: str, is_so: Callable[[], bool]) -> None:
        """Wait for a named moment."""
        end = time.monotonic() + self._patience_s
        while not is_so():
            assert time.monotonic() < end, f"{what} did not come within {self._patience_s} s"
            time.sleep(0.05)


class ClusterBehaviour:
    """Give a fixture `place`."""

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError

    def test_ends_of_pods_and_of_their_jobs(self, place: Place) -> None:
        version = place.client.list_jobs(place.namespace, "suite=behaviour").version
        for name, does, more in (("well", "ends well", {}), ("badly", "ends badly", {"backoffLimit": 1})):
            place.create(name, does, **more)

        place.until(
            "their ends", lambda: "Complete" in place.conditions("well") and "Failed" in place.conditions("badly")
        )

        told: dict[str, list[str]] = {"well": [], "badly": []}
        for kind, job in place.client.watch(
            "jobs", place.namespace, "suite=behaviour", version, timeout_s=1, stall_s=10
        ):
            if kind != "BOOKMARK":
                seen = told[job["metadata"]["name"]]
                now = [c["type"] for c in (job.get("status") or {}).get("conditions") or [] if c["status"] == "True"]
                seen += [kind] if not seen else []
                seen += [one for one in now if one not in seen]
        assert told == {
            "well": ["ADDED", "SuccessCriteriaMet", "Complete"],
            "badly": ["ADDED", "FailureTarget", "Failed"],
        }
        assert place.phases("well") == ["Succeeded"]
        assert place.phases("badly") == ["Failed", "Failed"], "one more than the backoff limit"
        (pod,) = place.pods("well")
        assert place.client.pod_log(place.namespace, pod["metadata"]["name"], tail_lines=2) == "two\nthree\n"
        ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (0, "Completed")

    def test_a_pod_that_is_deleted_has_failed_before_it_is_gone(self, place: Place) -> None:
        made = place.create("j", "lingers")
        place.until("its pod", lambda: place.phases("j") == ["Running"])
        (pod,) = place.pods("j")

        place.client.delete_pod(place.namespace, pod["metadata"]["name"], uid=pod["metadata"]["uid"], grace_s=20)
        place.until("the first sign", lambda: place.conditions("j") == ["FailureTarget"])

        place.until("its count", lambda: ((place.job("j") or {}).get("status") or {}).get("failed") == 1)
        assert place.phases("j") == ["Running"], "it counts as failed, and lives"
        place.until("the end", lambda: "Failed" in place.conditions("j"))
        assert place.pods("j") == []
        with pytest.raises(KubeConflictError):
            place.client.delete_job(place.namespace, "j", uid="00000000-0000-0000-0000-000000000000")
        with pytest.raises(KubeConflictError):
            place.create("j", "runs")
        assert place.client.delete_job(place.namespace, "j", uid=made["metadata"]["uid"])
        with pytest.raises(KubeNotFoundError):
            place.client.patch_job(place.namespace, "j", {"metadata": {"labels": {"a": "b"}}})

    def test_a_job_that_is_suspended_has_no_pod(self, place: Place) -> None:
        place.create("j", "runs", suspend=True)
        place.until("the condition", lambda: place.conditions("j") == ["Suspended"])
        assert place.pods("j") == []

        place.client.patch_job(place.namespace, "j", {"spec": {"suspend": False}})
        place.until("its pod", lambda: place.phases("j") == ["Running"])
        place.client.patch_job(place.namespace, "j", {"spec": {"suspend": True}})

        place.until("the pod's end", lambda: place.pods("j") == [])
        assert place.conditions("j") == ["Suspended"]
        place.client.delete_job(place.namespace, "j")

    def test_what_owns_and_what_is_owned(self, place: Place) -> None:
        first, second = (place.create(name, "runs") for name in ("first", "second"))
        owners = [
            {"apiVersion": "batch/v1", "kind": "Job", "name": o["metadata"]["name"], "uid": o["metadata"]["uid"]}
            for o in (first, second)
        ]
        place.create("of-one", "runs", owners[:1])
        place.create("of-both", "runs", owners)
        handed_over = place.create("handed-over", "runs", owners[:1])
        new = {"metadata": {"uid": handed_over["metadata"]["uid"], "ownerReferences": owners[1:]}}
        place.client.patch_job(place.namespace, "handed-over", new)
        with pytest.raises(KubeConflictError):
            place.client.patch_job(place.namespace, "handed-over", {"metadata": {**new["metadata"], "uid": "another"}})

        place.client.delete_job(place.namespace, "first", uid=first["metadata"]["uid"])

        place.until("the end of what it owned", lambda: place.job("of-one") is None and place.pods("of-one") == [])
        place.create("soon-over", "ends well", ttlSecondsAfterFinished=0)
        place.until("its end", lambda: place.job("soon-over") is None and place.pods("soon-over") == [])
        assert place.job("of-both") is not None
        assert place.phases("handed-over") in (["Pending"], ["Running"])
        for name in ("second", "of-both", "handed-over"):
            place.client.delete_job(place.namespace, name)
