"""The plain sections of dagster.yaml: their shapes, and what they mean once resolved.

Names and defaults are Dagster's (https://docs.dagster.io/deployment/oss/dagster-yaml). What is written is kept as it is and
travels in an InstanceRef; defaults are applied here, where a section is asked for. (Named tuples, because a dozen of
dataclasses would cost every worker five milliseconds.)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from ..config.schema import Bool, Field, FreeMap, Int, ListOf, OneOrMany, Schema, Shape, Text, resolve
from ..coordinators.limits import QueueLimits
from ..engine.limits import TagLimit
from ..errors import Problems, nearest
from .class_schemas import RUN_QUEUE, TAG_CONCURRENCY_LIMITS

_NOTHING: Mapping[str, Any] = MappingProxyType({})
LOG_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")
_SECONDS = Int(minimum=0)
_COUNT = Int(minimum=1)


def _known_level(value: Mapping[str, Any], problems: Problems) -> None:
    level = value.get("python_log_level")
    if isinstance(level, str) and level.upper() not in (*LOG_LEVELS, "WARN", "FATAL"):
        problems.at("python_log_level").add(
            "unknown log level",
            got=repr(level),
            expected="one of " + ", ".join(LOG_LEVELS),
            suggestion=nearest(level, LOG_LEVELS),
        )


_THREADS = Shape({"use_threads": Field(Bool(), default=False), "num_workers": _COUNT, "num_submit_workers": _COUNT})
_ENABLED = Shape({"enabled": Field(Bool(), default=True)})
_DAYS = Int(minimum=-1)
_PURGE = Shape(
    {
        "purge_after_days": Field(
            OneOrMany(_DAYS, Shape(dict.fromkeys(("skipped", "success", "failure", "started"), _DAYS))), required=True
        )
    }
)
SECTIONS: Mapping[str, Schema] = {
    "telemetry": _ENABLED,
    "nux": _ENABLED,
    "python_logs": Shape(
        {
            "managed_python_loggers": Field(ListOf(Text(empty=False)), default=[]),
            "python_log_level": Text(),
            "dagster_handler_config": Shape({k: FreeMap() for k in ("handlers", "formatters", "filters")}),
        },
        rules=(_known_level,),
    ),
    "run_monitoring": Shape(
        {
            "enabled": Field(Bool(), default=False),
            "start_timeout_seconds": Field(_SECONDS, default=180),
            "cancel_timeout_seconds": Field(_SECONDS, default=180),
            "max_runtime_seconds": Field(_SECONDS, default=0),
            "max_resume_run_attempts": _SECONDS,
            "poll_interval_seconds": Field(_COUNT, default=120),
            "cancellation_thread_poll_interval_seconds": Field(_COUNT, default=10),
            "free_slots_after_run_end_seconds": _SECONDS,
        },
        misplaced={"max_retries": "run_retries", "retry_on_asset_or_op_failure": "run_retries"},
    ),
    "run_retries": Shape(
        {
            "enabled": Field(Bool(), default=False),
            "max_retries": Field(Int(minimum=0), default=0),
            "retry_on_asset_or_op_failure": Field(Bool(), default=True),
        },
        misplaced={"max_resume_run_attempts": "run_monitoring"},
    ),
    "code_servers": Shape(
        {
            "local_startup_timeout": Field(_SECONDS, default=180),
            "reload_timeout": Field(_SECONDS, default=180),
            "wait_for_local_processes_on_shutdown": Field(Bool(), default=False),
        }
    ),
    "retention": Shape(dict.fromkeys(("schedule", "sensor", "auto_materialize"), _PURGE)),
    "backfills": _THREADS,
    "sensors": _THREADS,
    "schedules": _THREADS,
    "auto_materialize": Shape(
        {
            "enabled": Field(Bool(), default=True),
            "minimum_interval_seconds": _SECONDS,
            "run_tags": Field(FreeMap(), default={}),
            "respect_materialization_data_versions": Field(Bool(), default=False),
            "max_tick_retries": Field(Int(minimum=0), default=3),
            "use_sensors": Field(Bool(), default=True),
            "use_threads": Field(Bool(), default=False),
            "num_workers": _COUNT,
        }
    ),
    "freshness": Shape({"enabled": Field(Bool(), required=True)}),
    "concurrency": Shape(
        {
            "pools": Shape(
                {
                    "default_limit": Int(minimum=0),
                    "granularity": Field(Text(choices=("op", "run")), default="op"),
                    "op_granularity_run_buffer": Int(minimum=0),
                },
                misplaced={"max_concurrent_runs": "concurrency.runs"},
            ),
            "runs": Shape(
                {"max_concurrent_runs": Int(minimum=-1), "tag_concurrency_limits": TAG_CONCURRENCY_LIMITS},
                misplaced={"default_limit": "concurrency.pools", "granularity": "concurrency.pools"},
            ),
            "default_op_concurrency_limit": Int(minimum=0),
        },
        misplaced={
            "max_concurrent_runs": "concurrency.runs",
            "tag_concurrency_limits": "concurrency.runs",
            "default_limit": "concurrency.pools",
            "granularity": "concurrency.pools",
        },
    ),
}
"""Shape of each section that an InstanceRef carries in `settings`."""


class RunMonitoring(NamedTuple):
    """Watching over runs. Times in seconds; 0 for `max_runtime_seconds` is no limit.

    `max_resume_run_attempts` is None when it was not given: then the budget is the protocol's default. An explicit 0 is 0.
    `free_slots_after_run_end_seconds` is None for off (Dagster also reads 0 as off).
    """

    enabled: bool
    start_timeout_seconds: int
    cancel_timeout_seconds: int
    max_runtime_seconds: int
    max_resume_run_attempts: int | None
    poll_interval_seconds: int
    cancellation_thread_poll_interval_seconds: int
    free_slots_after_run_end_seconds: int | None


class RunRetries(NamedTuple):
    """Automatic retries of failed runs: at most `max_retries` new runs per group."""

    enabled: bool
    max_retries: int
    retry_on_asset_or_op_failure: bool


class PythonLogs(NamedTuple):
    """Loggers whose lines become events of the run.

    Attributes:
        managed_python_loggers: names; `root` is the root logger.
        python_log_level: upper-case name of the lowest level that is kept, or None for the loggers' own.
        handlers, formatters, filters: of further handlers, in the form of `logging.config.dictConfig`.
    """

    managed_python_loggers: tuple[str, ...] = ()
    python_log_level: str | None = None
    handlers: Mapping[str, Any] = _NOTHING
    formatters: Mapping[str, Any] = _NOTHING
    filters: Mapping[str, Any] = _NOTHING


class CodeServers(NamedTuple):
    """Time limits of code servers, in seconds."""

    local_startup_timeout: int
    reload_timeout: int
    wait_for_local_processes_on_shutdown: bool


class Threads(NamedTuple):
    """How a daemon loop spreads its work."""

    use_threads: bool
    num_workers: int | None
    num_submit_workers: int | None


class Purge(NamedTuple):
    """After how many days ticks of each outcome are dropped; -1 keeps them."""

    skipped: int = -1
    success: int = -1
    failure: int = -1
    started: int = -1


class Retention(NamedTuple):
    """Purging of ticks, per kind."""

    schedule: Purge
    sensor: Purge
    auto_materialize: Purge


class AutoMaterialize(NamedTuple):
    """Declarative automation. `minimum_interval_seconds` None: the loop's own."""

    enabled: bool
    minimum_interval_seconds: int | None
    run_tags: Mapping[str, Any]
    respect_materialization_data_versions: bool
    max_tick_retries: int
    use_sensors: bool
    use_threads: bool
    num_workers: int | None


class Pools(NamedTuple):
    """Limits of pools.

    Attributes:
        default_limit: slots of a pool that has no limit of its own; None is no limit.
        granularity: what holds a slot: "op" or "run".
        op_granularity_run_buffer: runs that may start though all their first ops would wait.
    """

    default_limit: int | None = None
    granularity: str = "op"
    op_granularity_run_buffer: int | None = None


class RunQueue(NamedTuple):
    """The queue of runs, put together from `run_queue` or the coordinator's config, and `concurrency.runs`.

    Attributes:
        max_concurrent_runs: active runs at most; -1 is no limit, 0 lets none start.
        tag_concurrency_limits: all of them have to be satisfied.
        dequeue_interval_seconds: how often the queue is looked at even when nothing is heard of it.
        dequeue_num_workers: how many runs one daemon launches at once; None: the daemon's own number.
        max_user_code_failure_retries, user_code_failure_retry_delay: without effect: no code location is asked to launch a run.
        block_op_concurrency_limited_runs: keep runs queued whose first ops would wait for a pool.
        op_concurrency_slot_buffer: how many of those may start all the same.
    """

    max_concurrent_runs: int = 10
    tag_concurrency_limits: tuple[TagLimit, ...] = ()
    dequeue_interval_seconds: int = 5
    dequeue_num_workers: int | None = None
    max_user_code_failure_retries: int = 0
    user_code_failure_retry_delay: int = 60
    block_op_concurrency_limited_runs: bool = True
    op_concurrency_slot_buffer: int = 0

    def limits(self, default_pool_limit: int | None, *, pools_hold_runs: bool = False) -> QueueLimits:
        """What has to be satisfied before a run is started."""
        return QueueLimits(
            self.max_concurrent_runs,
            self.tag_concurrency_limits,
            self.block_op_concurrency_limited_runs,
            self.op_concurrency_slot_buffer,
            default_pool_limit,
            pools_hold_runs,
        )


_KEEP = Purge()
_SHORT = Purge(skipped=7)
_DEFAULT_THREADS_OF_BACKFILLS = 4


class Settings:
    """The sections with their types, defaults applied and environment sources resolved when a section is first asked for.

    Asking raises ConfigErrors if a variable is unset, or if what an InstanceRef brought is not right.

    Args:
        sections: as written.
        queue: the config of the queued run coordinator, as written; empty for another coordinator.
        env: where `{env: NAME}` is looked up.
        where: the document, for messages.
    """

    def __init__(
        self, sections: Mapping[str, Any], queue: Mapping[str, Any], env: Mapping[str, str], where: str
    ) -> None:
        self._sections = sections
        self._queue = queue
        self._env = env
        self._where = where

    def _section(self, name: str) -> dict[str, Any]:
        raw = self._sections.get(name) or ({"enabled": True} if name == "freshness" else {})
        found: dict[str, Any] = resolve(SECTIONS[name], raw, self._env, where=self._where, path=name)
        return found

    @cached_property
    def run_monitoring(self) -> RunMonitoring:
        """`run_monitoring`."""
        found = self._section("run_monitoring")
        found["free_slots_after_run_end_seconds"] = found.get("free_slots_after_run_end_seconds") or None
        found.setdefault("max_resume_run_attempts", None)
        return RunMonitoring(**found)

    @cached_property
    def run_retries(self) -> RunRetries:
        """`run_retries`."""
        return RunRetries(**self._section("run_retries"))

    @cached_property
    def python_logs(self) -> PythonLogs:
        """`python_logs`."""
        found = self._section("python_logs")
        level = found.get("python_log_level")
        return PythonLogs(
            managed_python_loggers=tuple(found["managed_python_loggers"]),
            python_log_level=level.upper() if level else None,
            **found.get("dagster_handler_config", {}),
        )

    @cached_property
    def code_servers(self) -> CodeServers:
        """`code_servers`."""
        return CodeServers(**self._section("code_servers"))

    @cached_property
    def sensors(self) -> Threads:
        """`sensors`."""
        return self._threads("sensors")

    @cached_property
    def schedules(self) -> Threads:
        """`schedules`."""
        return self._threads("schedules")

    @cached_property
    def backfills(self) -> Threads:
        """`backfills`: on threads unless it says otherwise."""
        if not self._sections.get("backfills"):
            return Threads(use_threads=True, num_workers=_DEFAULT_THREADS_OF_BACKFILLS, num_submit_workers=None)
        return self._threads("backfills")

    def _threads(self, name: str) -> Threads:
        found = self._section(name)
        return Threads(found["use_threads"], found.get("num_workers"), found.get("num_submit_workers"))

    @cached_property
    def retention(self) -> Retention:
        """`retention`."""
        found = self._section("retention")
        return Retention(
            schedule=_purge(found.get("schedule"), _KEEP),
            sensor=_purge(found.get("sensor"), _SHORT),
            auto_materialize=_purge(found.get("auto_materialize"), _SHORT),
        )

    @cached_property
    def auto_materialize(self) -> AutoMaterialize:
        """`auto_materialize`."""
        found = self._section("auto_materialize")
        return AutoMaterialize(**{"minimum_interval_seconds": None, "num_workers": None, **found})

    @cached_property
    def freshness_enabled(self) -> bool:
        """`freshness.enabled`."""
        return bool(self._section("freshness")["enabled"])

    @cached_property
    def pools(self) -> Pools:
        """`concurrency.pools`, with `default_op_concurrency_limit` as the older name of `default_limit`."""
        found = self._section("concurrency")
        pools = Pools(**found.get("pools", {}))
        if "default_op_concurrency_limit" in found:
            return Pools(found["default_op_concurrency_limit"], pools.granularity, pools.op_granularity_run_buffer)
        return pools

    @cached_property
    def run_queue(self) -> RunQueue:
        """The queue's settings, wherever they were written."""
        found = resolve(RUN_QUEUE, self._queue, self._env, where=self._where, path="run_queue")
        runs = self._section("concurrency").get("runs", {})
        block = found["block_op_concurrency_limited_runs"]
        buffer = self.pools.op_granularity_run_buffer
        threads = found.get("dequeue_num_workers")
        limits = runs.get("tag_concurrency_limits") or found.get("tag_concurrency_limits") or ()
        return RunQueue(
            max_concurrent_runs=runs.get("max_concurrent_runs", found.get("max_concurrent_runs", 10)),
            tag_concurrency_limits=tuple(_tag_limit(limit) for limit in limits),
            dequeue_interval_seconds=found.get("dequeue_interval_seconds", 5),
            dequeue_num_workers=threads,
            max_user_code_failure_retries=found["max_user_code_failure_retries"],
            user_code_failure_retry_delay=found["user_code_failure_retry_delay"],
            block_op_concurrency_limited_runs=block.get("enabled", True),
            op_concurrency_slot_buffer=block.get("op_concurrency_slot_buffer", 0) if buffer is None else buffer,
        )


def _purge(section: Mapping[str, Any] | None, default: Purge) -> Purge:
    if section is None:
        return default
    days = section["purge_after_days"]
    if isinstance(days, int):
        return Purge(days, days, days, days)
    return Purge(**{k: days.get(k, getattr(default, k)) for k in ("skipped", "success", "failure", "started")})


def _tag_limit(limit: Mapping[str, Any]) -> TagLimit:
    value = limit.get("value")
    if isinstance(value, Mapping):
        return TagLimit(limit["key"], limit["limit"], per_value=True)
    return TagLimit(limit["key"], limit["limit"], value)
