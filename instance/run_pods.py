"""What the pods of an instance's runs are like, as its configuration says: without the client of Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigErrors, Problem
from ..events.run import Run
from ..kube.job_facts import Surroundings, facts_of
from ..kube.shared_folders import shares
from .config import InstanceConfig
from .known_classes import MAKES_JOBS
from .run_job import job_of_run, job_settings
from .storage_location import PostgresLocation, SqliteLocation, storage_location

LOCAL_PODS_ENV = "RUNPLANE_PODS_ARE_LOCAL"


class RunPods:
    """What is asked about pods.

    Args:
        config: of the instance.
        env: of this process.
    """

    def __init__(self, config: InstanceConfig, env: Mapping[str, str]) -> None:
        self._config = config
        self._env = env

    def shares(self, run: Run, folder: Path) -> bool | None:
        """Whether the pod that runs `run` shares a folder with other pods; None where runs are no pods.

        Args:
            run: the run.
            folder: an absolute path.
        """
        part = self._config.parts.get("run_launcher")
        if part is None or part.class_name not in MAKES_JOBS or part.known is None:
            return None
        try:
            settings = job_settings(self._config, self._env)
            job = job_of_run(self._config, settings, facts_of(run), run.run_config, "", Surroundings(self._env))
        except ConfigErrors:
            return False  # a Job that nobody could make from here: what its pod shares is not known
        return shares(job.manifest, str(folder))

    def refuse_local_database(self) -> None:
        """Raise ConfigErrors when the database is one that pods can not reach: a file, or this machine's own address.

        ``RUNPLANE_PODS_ARE_LOCAL`` says that pods are processes of this machine (those of a ``FakeCluster``).
        """
        if self._env.get(LOCAL_PODS_ENV):
            return
        location = storage_location(self._config, self._env)
        if isinstance(location, SqliteLocation):
            got = "SQLite"
        elif isinstance(location, PostgresLocation) and all(map(_is_local, location.host.split(","))):
            got = f"Postgres at {location.host or 'a socket'}"
        else:
            return
        problem = Problem(
            "storage",
            "pods can not reach this database",
            got,
            "storage: {postgres: ...} at a name that the cluster resolves",
        )
        raise ConfigErrors([problem], where=self._config.where)


def _is_local(host: str) -> bool:
    name = host.strip("[]").lower()
    return name in ("", "localhost", "localhost.localdomain", "::1", "0.0.0.0") or name.startswith(("127.", "/"))
