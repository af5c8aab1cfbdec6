"""InstanceConfig -> built parts. A part that is not built yet in this version is refused by name when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config.pointer import ClassPointer, load_class
from ..config.schema import resolve
from ..coordinators.contract import RunCoordinator
from ..coordinators.immediate import DefaultRunCoordinator
from ..events.run import Run
from ..launchers.contract import RunLauncher, WorkerHandle
from ..launchers.in_process import InProcessRunLauncher, RunHere
from ..storage.compute_logs import ComputeLogStore, LocalComputeLogStore, NoOpComputeLogStore
from ..storage.database import Database
from ..storage.journal import Journal
from ..storage.runs import Runs
from .config import InstanceConfig
from .dagster_shaped import DagsterShapedLauncher, as_run_launcher
from .known_classes import MAKES_JOBS
from .part_contracts import check_contract
from .parts import Part
from .pointers import build_part, find_class
from .storage_location import CustomStorage, PostgresLocation, SqliteLocation, artifact_folder, storage_location

_run_here: list[RunHere] = []


def set_run_here(run_here: RunHere) -> None:
    """Say how runs are executed in this process (called by the entry point, for the in-process launcher)."""
    _run_here[:] = [run_here]


class Wiring:
    """Builds the parts of one instance.

    Args:
        config: the checked configuration.
        env: where ``{env: NAME}`` is looked up.
    """

    def __init__(self, config: InstanceConfig, env: Mapping[str, str]) -> None:
        self._config = config
        self._env = env
        self._in_memory = False

    def keep_in_memory(self) -> None:
        """Use a database in memory, whatever the configuration says."""
        self._in_memory = True

    def home(self) -> Path:
        """Root of local artifacts."""
        return artifact_folder(self._config, self._env)

    def instance_class(self) -> type[Any] | None:
        """The class that stands in for ``Instance``, or None."""
        part = self._config.instance_class
        return None if part is None else find_class(part).cls

    def database(self) -> Database:
        """The database that the storage parts name. Not opened for Postgres before its first use."""
        # Its module loads a driver: only the one that is used.
        built: Database
        if self._in_memory:
            built = _class_of("storage.sqlite", "SqliteDatabase")(None)
            return built
        location = storage_location(self._config, self._env)
        if isinstance(location, SqliteLocation):
            location.path.parent.mkdir(parents=True, exist_ok=True)
            built = _class_of("storage.sqlite", "SqliteDatabase")(location.path)
            return built
        if isinstance(location, PostgresLocation):
            built = _class_of("storage.postgres", "PostgresDatabase")(
                location.url(),
                schema=location.schema,
                direct_url=location.direct_url,
                autocreate=location.autocreate,
            )
            return built
        return _custom_database(location, self._env)

    def compute_logs(self) -> ComputeLogStore:
        """Where what steps print is kept."""
        part = self._config.compute_logs
        if part.known is None:
            built: ComputeLogStore = _third_party(part, self._env)
            return built
        target = part.known.target(where=self._at(part))
        if target.class_name == "NoOpComputeLogStore":
            return NoOpComputeLogStore()
        config = resolve(part.known.schema, part.config, self._env, where=self._config.where, path=part.path)
        if target.class_name == "S3ComputeLogStore":
            # Its module is loaded where it is used only.
            in_s3: Any = load_class(target, where=self._at(part))
            built = in_s3.from_config(part.module.partition(".")[0], config, self.home())
        else:
            built = LocalComputeLogStore(Path(config["base_dir"]))
        return built

    def launcher(self, instance: Any) -> RunLauncher:
        """The run launcher; one that was written for Dagster's contract is wrapped and gets `instance`."""
        part = self._config.run_launcher
        if part.known is None:
            return build_third_party_launcher(part, self._env, instance)
        name = part.known.target(where=self._at(part)).class_name
        built: RunLauncher
        if name in MAKES_JOBS:
            built = _class_of("instance.kubernetes_launching", "KubernetesLaunching").launcher(part, instance)
            return built
        if name == "CeleryRunLauncher":
            built = _class_of("instance.celery_launching", "CeleryLaunching").launcher(part, instance)
            return built
        if name == "InProcessRunLauncher":
            return InProcessRunLauncher(_run_here[0] if _run_here else None)
        # Most workers launch nothing.
        built = _class_of("launchers.process", "DefaultRunLauncher")(self.home() / "storage" / "workers")
        return built

    def run_pods(self) -> Any:
        """What is asked about pods: a ``RunPods``. Most processes ask nothing."""
        return _class_of("instance.run_pods", "RunPods")(self._config, self._env)

    def launchers_start_timeout_s(self) -> int | None:
        """What a launcher of Jobs is configured to give a pod for its start."""
        part = self._config.parts.get("run_launcher")
        if part is None or part.class_name not in MAKES_JOBS or part.known is None:
            return None
        config = resolve(part.known.schema, part.config, self._env, where=self._config.where, path=part.path)
        found: int | None = (config.get("runplane") or {}).get("start_timeout_seconds")
        return found

    def coordinator(self, journal: Journal, runs: Runs, launch: Callable[[Run], WorkerHandle]) -> RunCoordinator:
        """The run coordinator. Where the file names none, runs are launched at once (a documented difference)."""
        part = self._config.run_coordinator
        built: RunCoordinator = DefaultRunCoordinator(journal, runs, launch)
        if "run_coordinator" in self._config.written:
            if part.known is None:
                built = _third_party(part, self._env)
            elif part.known.target(where=self._at(part)).class_name == "QueuedRunCoordinator":
                built = _class_of("coordinators.queued", "QueuedRunCoordinator")(journal, runs)
        return built

    def _at(self, part: Part) -> str:
        return f"{self._config.where}: {part.name}"


def build_third_party_launcher(part: Part, env: Mapping[str, str], instance: Any) -> RunLauncher:
    """A launcher of somebody else's, of our contract or of Dagster's."""
    launcher = as_run_launcher(build_part(part, env), instance.runs.get, where=f"{part.where}: {part.name}")
    if isinstance(launcher, DagsterShapedLauncher):
        launcher.bind(instance)
    return launcher


def _class_of(module: str, name: str) -> Any:
    """A class of ours whose module only those load that use it."""
    package = __package__.rpartition(".")[0]
    return load_class(ClassPointer(f"{package}.{module}", name), where=f"runplane.{module}")


def _custom_database(location: CustomStorage, env: Mapping[str, str]) -> Database:
    built: Database = _third_party(location.part, env)
    return built


def _third_party(part: Part, env: Mapping[str, str]) -> Any:
    """The object of somebody else's class. Raises UnsupportedError when it has not the methods of its place."""
    built = build_part(part, env)
    check_contract(part, built)
    return built
