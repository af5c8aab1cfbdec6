"""``execute_k8s_job`` on a real cluster: another image's Job, made by the role of run workers, whose log is the step's."""

from __future__ import annotations

from runplane.events.status import RunStatus
from services.kubernetes_house import House, MakeHouse


def test_a_step_runs_an_image_and_prints_what_it_prints(make_house: MakeHouse) -> None:
    house: House = make_house(shared=False)

    run_id = house.submit("foreign")

    assert house.wait_for_end(run_id) is RunStatus.SUCCESS, house.story()
    house.check(run_id)
    step = house.job_of_step("converts")
    printed = house.cluster.kubectl("logs", "-n", house.namespace, f"job/{step}")
    assert "six times seven is 42" in printed.splitlines()
    (foreign,) = [j for j in house.jobs() if j["metadata"]["name"] not in (step, f"dagster-run-{run_id}")]
    assert foreign["status"]["succeeded"] == 1
    container = foreign["spec"]["template"]["spec"]["containers"][0]
    assert "DAGSTER_PG_PASSWORD" not in {v["name"] for v in container.get("env", ())}, "it gets nothing of the instance"
