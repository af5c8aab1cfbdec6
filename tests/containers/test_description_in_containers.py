"""Texts 6 and 7 of the description, as a real Dagster wrote them, in containers of the image: a run, a step of one, a worker that dies.

Only the job is ours: a file at the place that the documents name, whose steps run in the run's process.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from runplane.engine.snapshot import PlanSnapshot
from runplane.events.requests import ExecuteRunArgs, ResumeRunArgs
from runplane.events.status import RunStatus
from runplane.events.wire import read_run_args, read_step_args, to_text
from runplane.instance.instance import RunRequest
from runplane.locations.subprocess_source import SubprocessCodeSource
from runplane.locations.target import CodeRequest, CodeTarget
from runplane.storage.contract import RunClaim
from runplane.storage.liveness import this_process
from runplane.workers.authority import acquire

DESCRIPTION = Path(__file__).resolve().parents[1] / "fixtures" / "description"
RUN_POD = yaml.safe_load((DESCRIPTION / "text6.yaml").read_text())["spec"]["containers"][0]
STEP_POD = yaml.safe_load((DESCRIPTION / "text7.yaml").read_text())["spec"]["containers"][0]
REQUEST = read_run_args(RUN_POD["args"][3])
JOB = "process_numbers_k8s"
SECRET = "root123!"  # in the documents, in clear: Dagster's user wrote it so


def variables(pod: dict[str, Any]) -> dict[str, str]:
    """What the pod's environment gives literally."""
    return {e["name"]: e["value"] for e in pod["env"] if "value" in e}


def stored(cluster: Any, run_id: str = REQUEST.run_id) -> str:
    """Store the run of the documents."""
    with SubprocessCodeSource(CodeRequest(target=CodeTarget(python_file=str(cluster.file)))) as source:
        plan = source.snapshot(JOB)
    assert isinstance(plan, PlanSnapshot)
    request = RunRequest(JOB, REQUEST.origin, plan, run_id=run_id)
    return str(cluster.instance.create(request).run_id)


def resume_args(args: ExecuteRunArgs) -> list[str]:
    text = to_text(ResumeRunArgs(args.instance, args.origin, args.run_id))
    return ["dagster", "api", "resume_run", text]


def test_text_6_runs_its_run(cluster: Any) -> None:
    run_id = stored(cluster)
    cluster.go()

    container = cluster.start(RUN_POD["args"], variables(RUN_POD))

    assert cluster.wait(container) == 0, cluster.story(run_id)
    assert cluster.instance.journal.head(run_id).status is RunStatus.SUCCESS, cluster.story(run_id)
    (first,) = [b for b in cluster.bodies("start") if b["step"] == "generate_numbers"]
    assert (first["uid"], int(first["capabilities"].split()[1], 16)) == (10001, 0)
    assert "the sum is 55" in container.logs().decode(), (
        "compute logs in S3 are not built yet: the pod's own log has them"
    )
    assert container.attrs["HostConfig"]["ReadonlyRootfs"]


def test_text_7_runs_its_step_in_a_container_and_text_6_the_rest(cluster: Any) -> None:
    run_id = stored(cluster)
    claim = acquire(cluster.instance.journal, cluster.instance.runs.get(run_id), this_process(), resumes_allowed=0)
    assert isinstance(claim, RunClaim)

    step = cluster.start(STEP_POD["args"], variables(STEP_POD))

    assert cluster.wait(step) == 0, cluster.story(run_id)
    assert ("STEP_SUCCESS", "generate_numbers", 1) in cluster.kinds(run_id), cluster.story(run_id)

    cluster.instance.journal.give_up(run_id, claim.epoch)
    cluster.go()
    rest = cluster.start(resume_args(REQUEST), variables(RUN_POD))

    assert cluster.wait(rest) == 0, cluster.story(run_id)
    assert cluster.instance.journal.head(run_id).status is RunStatus.SUCCESS, cluster.story(run_id)
    assert sorted(b["step"] for b in cluster.bodies("start")) == ["check", "generate_numbers", "sum_numbers"]


def test_what_a_real_dagster_writes_of_our_origin_runs_a_step(cluster: Any, dagster_python: Path) -> None:
    run_id = stored(cluster, "c0ffee00-0000-4000-8000-000000000001")
    claim = acquire(cluster.instance.journal, cluster.instance.runs.get(run_id), this_process(), resumes_allowed=0)
    assert isinstance(claim, RunClaim)
    argv = written_by_dagster(dagster_python, run_id)

    step = cluster.start(argv, variables(RUN_POD))

    assert cluster.wait(step) == 0, cluster.story(run_id)
    assert ("STEP_SUCCESS", "generate_numbers", 1) in cluster.kinds(run_id), cluster.story(run_id)


def test_an_explicit_budget_of_zero_resumes_is_honoured(cluster: Any) -> None:
    run_id = stored(cluster)
    killed = cluster.start(RUN_POD["args"], variables(RUN_POD))
    cluster.wait_for("the second step", lambda: cluster.started("sum_numbers"))
    killed.kill("SIGKILL")

    second = cluster.start(resume_args(REQUEST), variables(RUN_POD))

    assert cluster.wait(second) == 0, cluster.story(run_id)
    assert cluster.instance.journal.head(run_id).status is RunStatus.FAILURE
    end = cluster.instance.tail(run_id, 0, 10_000)
    (failed,) = [e for e in end if e.kind == "RUN_FAILURE"]
    assert failed.body["reason"] == "RUN_WORKER_RESTART"
    assert not cluster.started("sum_numbers", 2)


PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
from dagster._core.origin import JobPythonOrigin
from dagster._grpc.types import ExecuteRunArgs, ExecuteStepArgs
from dagster._serdes import deserialize_value
given = json.loads(sys.stdin.read())
of_run = deserialize_value(given["run"], ExecuteRunArgs)
args = ExecuteStepArgs(of_run.job_origin, given["run_id"], ["generate_numbers"], of_run.instance_ref, print_serialized_events=True)
print(json.dumps(args.get_command_args()))
"""


def written_by_dagster(python: Path, run_id: str) -> list[str]:
    """The command line that Dagster gives to a step's container."""
    import subprocess

    given = json.dumps({"run": RUN_POD["args"][3], "run_id": run_id})
    done = subprocess.run([str(python), "-c", PROGRAM], input=given, capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_documents_are_the_descriptions() -> None:
    assert REQUEST.instance is not None
    assert REQUEST.instance.compute_logs is not None
    assert SECRET in REQUEST.instance.compute_logs.config_yaml
    assert REQUEST.run_id == read_step_args((DESCRIPTION / "text8.json").read_text()).run_id
