"""Launches one of the jobs of ``cluster_jobs.py`` by the home's launcher, its code at /bench/jobs.py in the image: prints the run's id."""

import json
import sys

import cluster_jobs
import kubernetes
from dagster import DagsterInstance
from dagster._core.code_pointer import FileCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

NAME, IMAGE = sys.argv[1:]

# What the launcher is told travels to the pods, so it is what they need; this process is no pod.
kubernetes.config.load_incluster_config = kubernetes.config.load_kube_config

with DagsterInstance.get() as instance:
    code = RepositoryPythonOrigin(
        executable_path="python",
        code_pointer=FileCodePointer("/bench/jobs.py", NAME, "/bench"),
        container_image=IMAGE,
        entry_point=["dagster"],
        container_context=None,
    )
    run = instance.create_run_for_job(getattr(cluster_jobs, NAME), job_code_origin=JobPythonOrigin(NAME, code))
    instance.launch_run(run.run_id, None)
print(json.dumps({"run_id": run.run_id}))
