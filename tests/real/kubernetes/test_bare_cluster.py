"""A bare cluster: pods share no volume, nothing is said of outputs and logs, and the image's root can not be written to."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from runplane.cli.main import root
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from services.kubernetes_house import House

from .conftest import MakeHouse


@pytest.fixture
def bare_house(make_house: MakeHouse) -> House:
    return make_house(shared=False)


def printed(house: House, job: str) -> str:
    return house.cluster.kubectl("logs", "-n", house.namespace, f"job/{job}")


def test_a_run_whose_steps_are_processes_is_resumed_and_loads_what_its_first_pod_made(bare_house: House) -> None:
    house = bare_house
    house.watcher.hold("sum_all")
    with house.daemon():
        run_id = house.submit("process_numbers")
        house.wait_for("the last step", lambda: house.started("sum_all"))
        house.cluster.kubectl("delete", "job", f"dagster-run-{run_id}", "-n", house.namespace, "--wait=false")
        house.wait_for("the last step in another pod", lambda: house.started("sum_all", 2))
        house.watcher.let_go()

        assert house.wait_for_end(run_id) is RunStatus.SUCCESS, house.story()

    house.check(run_id)
    assert house.instance.runs.get(run_id).tags["runplane/outputs"] == "database"
    assert not house.started("sum_even", 2)


def test_what_steps_in_pods_print_is_in_their_pods_logs_and_the_last_of_a_failed_one_in_the_runs(
    bare_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = bare_house
    run_id, of_processes = house.submit("refused_k8s"), house.submit("refused")

    for one in (run_id, of_processes):
        assert house.wait_for_end(one) is RunStatus.FAILURE, house.story()

    job = house.job_of_step("generate_numbers")
    assert printed(house, job).splitlines() == ["ten numbers"]
    monkeypatch.setenv("DAGSTER_HOME", str(house.folder))
    shown = CliRunner().invoke(root, ["run", "logs", run_id, "--step", "generate_numbers"])
    pod = house.pod_of(job)["metadata"]["name"]
    assert f"kubectl logs {pod}" in shown.output, shown.output
    events = house.check(run_id)
    assert pod in {e.body["pod"] for e in events if e.kind == EventKind.LOGS_CAPTURED}
    for told in (events, house.check(of_processes)):
        kept = {e.step: e.body["evidence"] for e in told if e.kind == EventKind.ENGINE_EVENT and "evidence" in e.body}
        assert kept.keys() == {"refuse_numbers"}, house.story()
        assert "55 is too much" in kept["refuse_numbers"].splitlines()
    assert {"ten numbers", "55 is too much"} <= set(printed(house, f"dagster-run-{of_processes}").splitlines())
