"""For the tests in containers: a run of ours, and the command lines of containers that work on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runplane.engine.snapshot import PlanSnapshot
from runplane.events.argv import run_command, step_command_with_document
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.requests import (
    ExecuteRunArgs,
    ExecuteStepArgs,
    InstanceRef,
    IssuedAttempt,
    ResumeRunArgs,
)
from runplane.events.run import Run
from runplane.instance.instance import Instance, RunRequest
from runplane.locations.subprocess_source import SubprocessCodeSource
from runplane.locations.target import CodeRequest, CodeTarget
from runplane.storage.contract import Accepted, AttemptRef, Issue, RunClaim

HOME = "/opt/dagster/dagster_home"
YAML = """
local_artifact_storage: {module: dagster.core.storage.root, class: LocalArtifactStorage, config: {base_dir: @home}}
compute_logs: {module: dagster.core.storage.local_compute_log_manager, class: LocalComputeLogManager, config: {base_dir: @home/storage}}
storage:
  postgres:
    postgres_db:
      username: postgres
      password: {env: DAGSTER_PG_PASSWORD}
      hostname: postgresql.postgresql
      db_name: dagster
      port: 5432
""".replace("@home", HOME)


@dataclass(frozen=True)
class Submitted:
    """A stored run, and the instance that its documents carry."""

    run: Run
    ref: InstanceRef
    origin: JobOrigin

    @property
    def run_id(self) -> str:
        return self.run.run_id

    @property
    def run_argv(self) -> list[str]:
        return run_command(ExecuteRunArgs(self.ref, self.origin, self.run_id))

    @property
    def resume_argv(self) -> list[str]:
        return run_command(ResumeRunArgs(self.ref, self.origin, self.run_id))

    def step_argv(self, claim: RunClaim, instance: Instance, step: str, batch: int) -> list[str]:
        """Issue attempt 1 of a step; the command line of its container."""
        done = instance.journal.commit(self.run_id, claim.epoch, batch, [Issue(AttemptRef(step, 1))])
        assert isinstance(done.results[0], Accepted), done
        issued = IssuedAttempt(1, claim.epoch)
        return step_command_with_document(ExecuteStepArgs(self.ref, self.origin, self.run_id, (step,), issued=issued))


def submit(cluster: Any, job: str) -> Submitted:
    """Store a run of a job of the cluster's file."""
    with SubprocessCodeSource(CodeRequest(target=CodeTarget(python_file=str(cluster.file)))) as source:
        plan = source.snapshot(job)
    assert isinstance(plan, PlanSnapshot)
    pointer = FileCodePointer("workflows/definitions.py", "defs", "/app")
    origin = JobOrigin(job, RepositoryOrigin("/opt/runplane/bin/python", pointer, entry_point=("runplane",)))
    run = cluster.instance.create(RunRequest(job, origin, plan))
    with_secret = Path(cluster.home).parent / "documents"
    with_secret.mkdir(exist_ok=True)
    with Instance.from_yaml(YAML, with_secret) as described:
        return Submitted(run, described.ref, origin)
