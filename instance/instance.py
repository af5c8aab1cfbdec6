"""The instance: one object that submits, cancels, retries and reads runs. Built from a dagster.yaml, a folder or a document."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..config.dotenv import load_dotenv
from ..config.variables import seconds_from
from ..coordinators.contract import RunCoordinator, StoresRuns
from ..coordinators.limits import QueueLimits
from ..engine.snapshot import PlanSnapshot
from ..errors import ConflictError, NotFoundError, RunplaneError, UnsupportedError
from ..events.asset_key import AssetKey
from ..events.causes import FailureCause
from ..events.event import Event, NewEvent
from ..events.kinds import EventKind
from ..events.origin import JobOrigin
from ..events.pool_tags import pool_tags, without_pool_tags
from ..events.requests import ExecuteRunArgs, InstanceRef, ResumeRunArgs
from ..events.run import Run
from ..events.status import RunStatus
from ..events.trace_context import tags_for_trace
from ..events.wire import from_text, to_text
from ..launchers.contract import (
    ChecksHealth,
    Closes,
    Health,
    HealthState,
    LaunchRequest,
    Resumes,
    RunLauncher,
    StopsAll,
    TerminateResult,
    WorkerHandle,
)
from ..launchers.dagster_contract import DagsterRun
from ..plan.planned_assets import planned_events
from ..serdes.record import record
from ..storage.assets import AssetEvent, Assets
from ..storage.compute_logs import ComputeLogStore
from ..storage.contract import Head
from ..storage.identity import instance_id
from ..storage.journal import Journal
from ..storage.liveness import proven_gone, this_process
from ..storage.patience import PatientDatabase
from ..storage.pools import Pools
from ..storage.retry_requests import RetryRule
from ..storage.runs import Runs
from ..storage.watching import RESUMING, WatchedRuns
from .config import InstanceConfig
from .home import IN_A_POD_ENV
from .load import from_home as config_from_home
from .load import from_yaml as config_from_yaml
from .load import load_instance_config, storage_of_home
from .ref import to_ref
from .reported import engine_event
from .settings import PythonLogs, Settings
from .storage_location import refuse_other_storage
from .wire import Wiring

VERB_PATIENCE_S = 5.0
"""How long verbs for people wait for a database that is away."""
DEFAULT_RESUMES = 3
"""How often a run may be taken over when the instance does not say."""
LEASE_TTL_ENV = "RUNPLANE_LEASE_TTL"
LEASE_TTL_S = 30.0
DAEMON_TTL_ENV = "RUNPLANE_DAEMON_LEASE_TTL"
DAEMON_TTL_S = 6.0
_KEYS_A_PAGE = 1000
Say = Callable[[str], None]


def _silent(_: str) -> None:
    """Nobody is to be told."""


@record
class RunRequest:
    """What a run is to do.

    Attributes:
        job_name: the job.
        origin: where its code is; None for a job that lives in this process only.
        plan: its plan; None: the worker makes it.
        run_config, tags: as given; the job's own tags are in the plan and are put below these.
        op_selection, step_keys, asset_selection, asset_check_selection: what part of the job, or None.
        parent_run_id, root_run_id: of a re-execution, both or neither.
        run_id: UUID text, or None to draw one.
    """

    job_name: str
    origin: JobOrigin | None = None
    plan: PlanSnapshot | None = None
    run_config: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    op_selection: tuple[str, ...] | None = None
    step_keys: tuple[str, ...] | None = None
    asset_selection: tuple[str, ...] | None = None
    asset_check_selection: tuple[str, ...] | None = None
    parent_run_id: str | None = None
    root_run_id: str | None = None
    run_id: str | None = None


class Instance:
    """A place where runs are kept, with the parts that launch them.

    Made by ``get``, ``from_home``, ``from_yaml``, ``from_ref`` or ``ephemeral``. Parts are built when they are first used.

    Args:
        config: the checked configuration.
        env: where ``{env: NAME}`` is looked up.
        say: told what a person should know (the database is away, ...).

    Attributes:
        config: the checked configuration.
        lease_ttl_s: how long a coordinator's beat has to stand still before another one may take its run over, in seconds.
        daemon_ttl_s: the same for a daemon, and for what it does.
        is_ephemeral: whether it is gone when it is closed.

    Raises:
        ConfigErrors: a variable that it reads is not right.
    """

    def __init__(self, config: InstanceConfig, env: Mapping[str, str], say: Say = _silent) -> None:
        self.config = config
        self._env = env
        self._say = say
        self.lease_ttl_s = seconds_from(env, LEASE_TTL_ENV, LEASE_TTL_S)
        self.daemon_ttl_s = seconds_from(env, DAEMON_TTL_ENV, DAEMON_TTL_S)
        self._wiring = Wiring(config, env)
        self.is_ephemeral = False
        self._remove_temporary: Callable[[], object] | None = None

    # Ways to make one -----------------------------------------------------------------------------------------------------

    @classmethod
    def get(cls, *, say: Say = _silent) -> Instance:
        """The instance of the environment: ``DAGSTER_HOME``, else ``$XDG_DATA_HOME/runplane``, which is made.

        A ``.env`` file of the current directory is read first.

        Raises:
            ConfigErrors: its dagster.yaml is not right. RunplaneError: there is no such folder.
        """
        load_dotenv(Path.cwd(), os.environ)
        return cls._of(load_instance_config(os.environ, notify=say), os.environ, say)

    @classmethod
    def for_worker(
        cls, ref: InstanceRef | None, *, run_id: str | None = None, wait_s: float = VERB_PATIENCE_S, say: Say = _silent
    ) -> Instance:
        """The instance of an ``api`` verb: the document's. Without one, the storage that the file in ``DAGSTER_HOME`` names, and the rest as
        the run was launched with, if that is stored; else the whole file. Never a default.

        Args:
            ref: of the document.
            run_id: the run; None: nothing is looked up.
            wait_s: how long the look-up waits for a database that is away, in seconds.

        Raises:
            NoInstanceError: neither is there. StorageChangedError: the file names another storage than the run was launched with.
        """
        load_dotenv(Path.cwd(), os.environ)
        if ref is not None or run_id is None:
            return cls._of(load_instance_config(os.environ, ref=ref, may_make_home=False), os.environ, say)
        reader = Instance(storage_of_home(os.environ), os.environ, say)
        reader.wait_at_most(wait_s)
        stored = reader.runs.instance(run_id)
        launched = None if stored is None else getattr(from_text(stored), "instance", None)
        config = load_instance_config(os.environ, ref=launched, may_make_home=False)
        refuse_other_storage(reader.config, config, run_id)
        made = cls._of(config, os.environ, say)
        made.__dict__["database"] = reader.database  # the same one: no second connection
        return made

    @classmethod
    def from_home(cls, home: str | Path, *, say: Say = _silent) -> Instance:
        """The instance of a folder; with no dagster.yaml there, all defaults. Raises ConfigErrors."""
        return cls._of(config_from_home(Path(home), os.environ, notify=say), os.environ, say)

    @classmethod
    def from_yaml(cls, text: str, home: str | Path | None = None) -> Instance:
        """The instance that a text describes; what it does not place goes to `home` (default: a temporary folder).

        Raises:
            ConfigErrors: all problems of the text, with paths.
        """
        folder = Path(tempfile.mkdtemp(prefix="runplane-") if home is None else home)
        try:
            made = cls._of(config_from_yaml(text, folder, os.environ), os.environ, _silent)
        except BaseException:
            if home is None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        if home is None:
            # Results of execute_in_process may be looked at as long as there is a reference to the instance: no warning then.
            made._remove_temporary = weakref.finalize(made, shutil.rmtree, folder, ignore_errors=True)
        return made

    @classmethod
    def ephemeral(cls, tempdir: str | Path | None = None) -> Instance:
        """An instance in memory; it and a temporary folder for outputs go when it is closed or collected.

        Args:
            tempdir: a folder for outputs, in place of the temporary one; it stays.
        """
        made = cls.from_yaml("", tempdir)
        made._wiring.keep_in_memory()
        made.is_ephemeral = True
        return made

    @classmethod
    def _of(cls, config: InstanceConfig, env: Mapping[str, str], say: Say) -> Instance:
        """The instance, of the class that `instance_class` names if it does."""
        custom = Wiring(config, env).instance_class()
        if custom is None:
            return cls(config, env, say)
        made: Instance = custom(config, env, say)
        return made

    def sibling(self) -> Instance:
        """The same instance once more, with parts and a connection of its own, for another thread."""
        return self._of(self.config, self._env, self._say)

    # Parts ----------------------------------------------------------------------------------------------------------------

    @cached_property
    def home(self) -> Path:
        """Root of local artifacts: step outputs and logs are kept below ``storage/``."""
        return self._wiring.home()

    @cached_property
    def database(self) -> PatientDatabase:
        """The database, opened at first use. Its calls wait ``VERB_PATIENCE_S`` for one that is away."""
        return PatientDatabase(self._wiring.database(), patience_s=VERB_PATIENCE_S, say=self._say)

    @cached_property
    def journal(self) -> Journal:
        """Every write of a run."""
        settings = self.settings
        given = settings.run_retries
        retries = RetryRule(given.max_retries, given.retry_on_asset_or_op_failure) if given.enabled else None
        pools = settings.pools
        return Journal(
            self.database,
            default_pool_slots=pools.default_limit,
            retries=retries,
            steps_hold_slots=pools.granularity != "run",
        )

    @cached_property
    def runs(self) -> Runs:
        """Listing and showing runs."""
        return Runs(self.database)

    @cached_property
    def instance_id(self) -> str:
        """UUID of the database: what the instance makes elsewhere carries it. Drawn when it is first asked for."""
        return instance_id(self.database)

    @cached_property
    def assets(self) -> Assets:
        """What is known of assets across runs."""
        return Assets(self.database)

    @cached_property
    def logs(self) -> ComputeLogStore:
        """What steps print."""
        return self._wiring.compute_logs()

    @cached_property
    def launcher(self) -> RunLauncher:
        """Where a run's process lives. Raises UnsupportedError, by name, for a launcher that is not built yet."""
        return self._wiring.launcher(self)

    @cached_property
    def coordinator(self) -> RunCoordinator:
        """When a run is launched. Raises UnsupportedError, by name, for one that is not built yet."""
        return self._wiring.coordinator(self.journal, self.runs, self.launch_worker)

    @cached_property
    def ref(self) -> InstanceRef:
        """The instance as it travels in a request document; environment sources unresolved."""
        return to_ref(self.config)

    @cached_property
    def python_logs(self) -> PythonLogs:
        """Which Python loggers become events of runs, from which level, and further handlers."""
        return self.config.settings(self._env).python_logs

    @property
    def resumes_allowed(self) -> int:
        """How often a run may be taken over from a worker that is gone: as configured, an explicit 0 is 0."""
        configured = self.config.settings(self._env).run_monitoring.max_resume_run_attempts
        return DEFAULT_RESUMES if configured is None else configured

    @property
    def start_timeout_s(self) -> int:
        """How long a run's worker may take to start, in seconds: as its launcher is configured, else as ``run_monitoring`` is."""
        own = self._wiring.launchers_start_timeout_s()
        return self.settings.run_monitoring.start_timeout_seconds if own is None else own

    @property
    def max_runtime_s(self) -> float | None:
        """The default time limit of a run in seconds, or None."""
        return float(self.config.settings(self._env).run_monitoring.max_runtime_seconds) or None

    @property
    def has_queue(self) -> bool:
        """Whether runs that are submitted wait for the daemon."""
        return isinstance(self.coordinator, StoresRuns)

    @property
    def env(self) -> Mapping[str, str]:
        """Where ``{env: NAME}`` is looked up."""
        return self._env

    @property
    def settings(self) -> Settings:
        """The plain sections of the configuration, defaults applied."""
        return self.config.settings(self._env)

    @property
    def queue_limits(self) -> QueueLimits:
        """The limits of the queue."""
        settings = self.settings
        pools = settings.pools
        return settings.run_queue.limits(pools.default_limit, pools_hold_runs=pools.granularity == "run")

    def runs_pod_shares(self, run: Run) -> bool | None:
        """Whether the pod that runs `run`, this one, shares the storage folder with other pods; None when its worker is no pod."""
        if IN_A_POD_ENV not in self._env:
            return None
        found: bool | None = self._wiring.run_pods().shares(run, self.home / "storage")
        return found

    def refuse_database_for_pods(self) -> None:
        """For whoever makes pods. Raises ConfigErrors when they can not reach the database: a file, or this machine's own address."""
        self._wiring.run_pods().refuse_local_database()

    def wait_for_ever(self) -> None:
        """From here on calls wait for a database that is away, for as long as it takes (a worker in mid-run)."""
        self.database.set_patience(None)

    def wait_at_most(self, seconds: float) -> None:
        """From here on calls wait so long for a database that is away."""
        self.database.set_patience(seconds)

    @property
    def connections(self) -> int:
        """Connections to the database that this instance has open now."""
        return self.database.connections if "database" in self.__dict__ else 0

    def disconnect(self) -> None:
        """Close the connection to the database; the next call opens one."""
        self.database.release()

    def close(self) -> None:
        """Close the launcher and the log store, if they want that, and the database, and remove a temporary folder."""
        try:
            for part in ("launcher", "logs"):
                made = self.__dict__.pop(part, None)
                if isinstance(made, Closes):
                    made.close()
        finally:
            self._close_storage()

    def _close_storage(self) -> None:
        if "database" in self.__dict__:
            self.database.close()
        if self._remove_temporary is not None:
            self._remove_temporary()

    def __enter__(self) -> Instance:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Runs -------------------------------------------------------------------------------------------------------------------

    def create(self, request: RunRequest) -> Run:
        """Store a run, NOT_STARTED, and its plan.

        Raises:
            ConflictError: the id is taken by another run. RunplaneError: the id is not a UUID.
        """
        plan_id = self.journal.put_plan(request.plan) if request.plan is not None else None
        run = self._asked_for(request, plan_id)
        self.journal.create(run)
        planned = _planned(request)
        if planned:
            self.journal.annotate(run.run_id, planned)
        return run

    def submit(self, request: RunRequest) -> Run:
        """Store a run and hand it to the coordinator, which launches it now or later.

        Raises:
            ConflictError: the id is taken. Whatever the launcher raises, when it launches now; the run has failed then.
        """
        # Built first: a part that can not be built leaves no run behind.
        coordinator = self.coordinator
        # Of assets it is told first what is planned; that comes before the run waits.
        if isinstance(coordinator, StoresRuns) and not _planned(request):
            return coordinator.submit_new(self._asked_for(request, None), request.plan)
        _ = self.launcher
        return coordinator.submit(self.create(request))

    def request_cancel(self, run_id: str, request_id: str | None = None) -> str:
        """Store the wish that a run ends, and return. Nothing that holds the run's row holds this up, not even a client that was stopped in the
        middle of a write. Whoever coordinates the run, now or next, acts on it.

        Args:
            request_id: the same id asked again does nothing twice; None draws one.

        Returns:
            The request's id.

        Raises:
            NotFoundError: no such run.
        """
        self.journal.head(run_id)
        request_id = request_id or uuid.uuid4().hex
        self.journal.request(run_id, request_id, "cancel", {})
        return request_id

    def cancel(self, run_id: str, request_id: str | None = None) -> Head:
        """Ask for a run's end (``request_cancel``), and carry out what can be done from here: the run is CANCELING, and its worker sees that; a
        run that has none ends.

        Args:
            request_id: of a request that was stored before, or as there.

        Returns:
            The run's hot row: CANCELED for a run that nothing is left of, else CANCELING, or its final status.

        Raises:
            NotFoundError: no such run. StorageUnavailableError: the request is stored, and the run's row was not to be had in time: a client
                that was stopped in the middle of a write holds it. The run's coordinator acts on the request.
        """
        self.request_cancel(run_id, request_id)
        head = self.journal.intend(
            run_id,
            "cancel",
            _event(EventKind.RUN_CANCELING, {"intent": "cancel", "message": "Sending run termination request."}),
            _event(EventKind.RUN_CANCELED, {"message": "The run was canceled before it was started."}),
        )
        if head.status is RunStatus.CANCELING and self._nobody_will(head):
            self._finish_canceled(head)
        return self.journal.head(run_id)

    def launch_worker(self, run: Run) -> WorkerHandle:
        """Have the launcher start the worker of a run that is STARTING. Raises what the launcher raises."""
        return self.launcher.launch(LaunchRequest(run, self.document(run)))

    def terminate_worker(self, run_id: str) -> TerminateResult:
        """Tell the run's newest worker to end, now; the run goes on elsewhere if it may be resumed."""
        handle = self._handle(run_id)
        return TerminateResult.NOT_FOUND if handle is None else self.launcher.terminate(run_id, handle)

    def stop_all(self, run_id: str) -> Sequence[str]:
        """Tell all that runs for the run to end, its steps too where they have pods of their own. For a run that nobody coordinates.

        Returns:
            What is still there, in words; empty when nothing is, or when its launcher can not tell.
        """
        self.terminate_worker(run_id)
        launcher = self.launcher
        return launcher.stop_all(run_id, self._handle(run_id)) if isinstance(launcher, StopsAll) else ()

    def worker_health(self, run_id: str) -> Health:
        """Whether the run's newest worker lives."""
        handle = self._handle(run_id)
        if handle is None:
            return Health(HealthState.UNKNOWN, "nothing is known of a worker")
        launcher = self.launcher
        if not isinstance(launcher, ChecksHealth):
            return Health(HealthState.UNKNOWN, f"{type(launcher).__name__} can not tell")
        return launcher.check(run_id, handle)

    def resume(self, run_id: str) -> Run:
        """Start another worker for a run whose worker is gone.

        Raises:
            ConflictError: the run is not in progress, or its launcher can not resume.
        """
        run, head = self.runs.get(run_id), self.journal.head(run_id)
        if head.status not in (RunStatus.STARTING, RunStatus.STARTED, RunStatus.CANCELING):
            raise ConflictError(f"a run that is {head.status} can not be resumed", where=f"run {run_id}")
        launcher = self.launcher
        if not isinstance(launcher, Resumes):
            raise ConflictError(f"{type(launcher).__name__} can not resume runs", where=f"run {run_id}")
        # A worker that died before it took the run over has a number, too: what it left (a Job) has that name.
        number = max(head.resumes, WatchedRuns(self.database).workers_launched_again(run_id)) + 1
        said = {"message": f"{RESUMING} (attempt {number} of {self.resumes_allowed})", "reported": True}
        self.journal.annotate(run_id, [_event(EventKind.ENGINE_EVENT, said)])
        request = LaunchRequest(run, self.document(run, resume=True), number)
        self._keep_handle(run_id, launcher.resume(request))
        return self.runs.get(run_id)

    def complete_logs(self, run_id: str) -> None:
        """Say of each log of a run that nothing more will be written to it. For whoever ended a run whose processes are gone: who was
        killed could not say it."""
        try:
            logs = self.logs
        except UnsupportedError:
            # Nothing was captured either.
            return
        for key in self.journal.log_keys(run_id):
            try:
                logs.finish(key)
            except OSError as e:
                # No run, and no daemon, is to fail for it.
                text = f"It can not be marked that log {'/'.join(key)} is complete: {e}"
                self.journal.annotate(run_id, [_event(EventKind.ENGINE_EVENT, {"message": text})])
                return

    def tail(self, run_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events of a run with a number above `after`, in order."""
        return self.journal.tail(run_id, after, limit)

    def document(self, run: Run, *, resume: bool = False) -> str:
        """The request document for a worker of this run.

        Raises:
            RunplaneError: the run has no origin, so that no other process can find its code.
        """
        if run.origin is None:
            raise RunplaneError(
                "the job was made in this process, and another process can not load it",
                where=f"job {run.job_name}",
                hint="Give it an origin with `reconstructable`, or use `execute_in_process`.",
            )
        make = ResumeRunArgs if resume else ExecuteRunArgs
        return to_text(make(self.ref, run.origin, run.run_id))

    # What launchers written for Dagster call ----------------------------------------------------------------------------------

    def get_run_by_id(self, run_id: str) -> DagsterRun | None:
        """A run under Dagster's names of its fields, or None."""
        try:
            return DagsterRun(self.runs.get(run_id))
        except NotFoundError:
            return None

    def report_engine_event(
        self,
        message: str,
        dagster_run: Any = None,
        engine_event_data: Any = None,
        cls: type | None = None,
        step_key: str | None = None,
        run_id: str | None = None,
    ) -> None:
        """Note something in a run's log; taken after the run's end too.

        Args:
            dagster_run, run_id: the run, one way or the other.
            engine_event_data: has ``metadata``, ``error``, ``marker_start``, ``marker_end``, or some of them.
            cls: whose note it is; its name is put before the message.

        Raises:
            RunplaneError: neither a run nor its id was given. NotFoundError: no such run.
        """
        found = run_id if run_id is not None else getattr(dagster_run, "run_id", None)
        if found is None:
            raise RunplaneError("an engine event belongs to a run", got="neither dagster_run nor run_id")
        self.journal.annotate(found, [engine_event(message, engine_event_data, cls, step_key)])

    def get_asset_keys(
        self, prefix: Sequence[str] | None = None, limit: int | None = None, cursor: str | None = None
    ) -> list[AssetKey]:
        """Keys of assets that some run made, saw or checked, sorted by their text.

        Args:
            prefix: first parts of the keys.
            limit: how many at most; None: all.
            cursor: text of the last key of the page before (``to_escaped_user_string``).
        """
        begins = "".join(f"{AssetKey(part).to_escaped_user_string()}/" for part in prefix or ())
        found: list[str] = []
        while page := self.assets.keys(prefix=begins, after=cursor, limit=min(limit or _KEYS_A_PAGE, _KEYS_A_PAGE)):
            found += page
            cursor = page[-1]
            if limit is not None and len(found) >= limit:
                break
        return [AssetKey.from_user_string(text) for text in found[:limit]]

    def all_asset_keys(self) -> list[AssetKey]:
        """As ``get_asset_keys`` without arguments."""
        return self.get_asset_keys()

    def has_asset_key(self, asset_key: AssetKey) -> bool:
        """Whether some run made the asset, saw or checked it."""
        text = asset_key.to_escaped_user_string()
        return self.assets.keys(prefix=text, limit=1)[:1] == [text]

    def get_latest_materialization_event(self, asset_key: AssetKey) -> AssetEvent | None:
        """The newest event of an asset that was made: ``run_id``, ``timestamp``, ``metadata``, ``body``; None when there is none."""
        return self.assets.latest(asset_key.to_escaped_user_string())

    def get_ref(self) -> InstanceRef:
        """The instance as it travels in a request document (``ref``)."""
        return self.ref

    # Inside -------------------------------------------------------------------------------------------------------------------

    def _asked_for(self, request: RunRequest, plan_id: str | None) -> Run:
        """The run as it is to be stored, with the tags that the instance puts on it."""
        run = _run_of(request, plan_id)
        pools = {pool for step in request.plan.steps for pool in step.pools} if request.plan is not None else set()
        tags = without_pool_tags(run.tags)
        if pools and self.settings.pools.granularity == "run":
            Pools(self.database).make(pools, self.settings.pools.default_limit)
            tags |= pool_tags(pools)
        return replace(run, tags=tags_for_trace(run.run_id, tags, self._env))

    def _handle(self, run_id: str) -> WorkerHandle | None:
        stored = self.runs.handle(run_id)
        return WorkerHandle(stored["kind"], stored["data"]) if stored else None

    def _keep_handle(self, run_id: str, handle: WorkerHandle) -> None:
        self.runs.put_handle(run_id, {"kind": handle.kind, "data": dict(handle.data)})

    def _nobody_will(self, head: Head) -> bool:
        """Whether no worker is there that would end the run: it is proven gone, gave the run up, or none has claimed it yet. One that
        is on its way, or whose launch nobody lived to note, finds the run ended and leaves."""
        return head.owner is None or proven_gone(head.owner) is not None

    def _finish_canceled(self, head: Head) -> None:
        claimed = head.epoch > 0
        left = self.stop_all(head.run_id) if claimed else ()
        if left and self.settings.run_monitoring.enabled:
            return  # the monitor ends the run when they are gone
        message = f"The run was canceled; {'its worker was gone already' if claimed else 'no worker had claimed it'}."
        if left:
            message += f" Still there: {'; '.join(left)}."
        owner = this_process()
        resumed = NewEvent(EventKind.RUN_RESUMED, None, None, {"message": message, "pid": owner.pid}, time.time())
        claim = self.journal.take_over(head, owner, resumed)
        if claim is not None:
            event = _event(EventKind.RUN_CANCELED, {"message": message})
            self.journal.finalise(head.run_id, claim.epoch, event, cause=FailureCause.CANCELED.value)
            self.complete_logs(head.run_id)
            if not claimed:
                # One may be on its way, or wait for a machine.
                self.stop_all(head.run_id)


def _planned(request: RunRequest) -> list[NewEvent]:
    return planned_events(request.plan) if request.plan is not None else []


def _run_of(request: RunRequest, plan_id: str | None) -> Run:
    """The run as it is to be stored."""
    tags = {**(request.plan.tags if request.plan else {}), **request.tags}
    if request.parent_run_id is not None and request.root_run_id is not None:
        tags["dagster/parent_run_id"] = request.parent_run_id
        tags["dagster/root_run_id"] = request.root_run_id
    run_id = _checked_id(request.run_id)
    return Run(
        run_id=run_id,
        job_name=request.job_name,
        origin=request.origin,
        run_config=request.run_config,
        tags=tags,
        op_selection=request.op_selection,
        step_keys=request.step_keys,
        asset_selection=request.asset_selection,
        asset_check_selection=request.asset_check_selection,
        parent_run_id=request.parent_run_id,
        root_run_id=request.root_run_id,
        plan_id=plan_id,
        created_at=time.time(),
    )


def _checked_id(run_id: str | None) -> str:
    if run_id is None:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(run_id))
    except ValueError as e:
        raise RunplaneError("a run id is a UUID", got=repr(run_id), hint="Leave it out to have one drawn.") from e


def _event(kind: EventKind, body: Mapping[str, Any]) -> NewEvent:
    return NewEvent(kind, None, None, body, time.time())
