"""``execute_k8s_job`` on a real cluster: another image's Job, made by the role of run workers, whose log is the step's."""

from __future__ import annotations

from typing import Any

from runplane.events.status import RunStatus
from services.kubernetes_house import House, MakeHouse


def test_a_step_runs_an_image_and_prints_what_it_prints(make_house: MakeHouse) -> None:
    house: House = make_house(shared=False)

    run_id = house.submit("foreign")

    assert house.wait_for_end(run_id) is RunStatus.SUCCESS, house.story()
    house.check(run_id)
    jobs = {j["metadata"]["name"]: j for j in house.jobs() if j["metadata"]["name"] != f"dagster-run-{run_id}"}
    (step,) = (name for name, job in jobs.items() if "DAGSTER_RUN_STEP_KEY" in variables(job))
    (foreign,) = jobs.keys() - {step}
    printed = house.cluster.kubectl("logs", "-n", house.namespace, f"job/{step}")
    assert "six times seven is 42" in printed.splitlines()
    assert "DAGSTER_PG_PASSWORD" not in variables(jobs[foreign]), "it gets nothing of the instance"
    told = lambda: house.cluster.get("job", foreign, "-n", house.namespace)["status"].get("succeeded")
    house.wait_for("its success as the cluster tells it", lambda: told() == 1)


def variables(job: dict[str, Any]) -> set[str]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return {v["name"] for v in container.get("env", ())}
