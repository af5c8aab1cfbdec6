"""`instance check` and `instance info` without the printing: everything that can be said about a configuration.

A document is validated whole: its own shape, the config of every class (third parties' are imported for it), and the
environment it needs. Nothing is built, no database is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

from ..config.pointer import public_module
from ..config.schema import HIDDEN, FreeMap, Schema
from ..errors import ConfigErrors, Problem, Problems, RunplaneError, UnsupportedError
from ..serdes.record import record
from .config import STORAGE_TRIO, InstanceConfig
from .document_schema import KNOWN_KEYS
from .known_classes import MAKES_JOBS, is_dagsters
from .load import check_part, from_document
from .part_contracts import check_contract
from .parts import Part
from .pointers import find_class
from .settings import SECTIONS
from .storage_location import SQLITE_CLASSES, CustomStorage, artifact_folder, storage_location, storage_parts
from .yaml_text import parse_yaml

_LOOPS: Mapping[str, str] = {
    "sensors": "the sensor loop",
    "schedules": "the schedule loop",
    "backfills": "the backfill loop",
    "auto_materialize": "the loop of declarative automation",
    "freshness": "the freshness loop",
    "retention": "the loop that drops old ticks",
}
"""Sections that only a daemon loop of a later version reads."""
_ANY_MAP: Schema = FreeMap(secret=True)


@record
class CheckReport:
    """What `instance check` found.

    Attributes:
        errors: all that is wrong.
        warnings: what loads and will not do what one may expect of it yet, and secrets that stand in the document.
        resolved: per part `module`, `class` and `config` with defaults; environment sources as written, literal secrets hidden.
    """

    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    resolved: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    def to_json(self) -> dict[str, Any]:
        """The document of `instance check --json`."""
        return {
            "ok": self.ok,
            "errors": [asdict(problem) for problem in self.errors],
            "warnings": [asdict(problem) for problem in self.warnings],
            "resolved": dict(self.resolved),
        }


def check_text(text: str, home: Path, env: Mapping[str, str], *, where: str, allow_missing_env: bool) -> CheckReport:
    """Check the text of a dagster.yaml. Raises nothing that the text could be the cause of."""
    try:
        document = parse_yaml(text, where=where)
    except ConfigErrors as error:
        return CheckReport(errors=_placed(error, where))
    try:
        config = from_document(document, home, env, where=where)
    except RunplaneError as error:
        found = _found_in(error)
        found += _found_in_the_rest(document, found, home, env, where, allow_missing_env)
        return CheckReport(errors=_once(found))
    return check_config(config, env, allow_missing_env=allow_missing_env)


def _found_in(error: RunplaneError) -> list[Problem]:
    return list(error.problems) if isinstance(error, ConfigErrors) else [_as_problem(error, "instance_class")]


def _found_in_the_rest(
    document: Any, found: list[Problem], home: Path, env: Mapping[str, str], where: str, allow_missing_env: bool
) -> list[Problem]:
    """What is wrong with the sections that have no error yet: their third parties' classes, their environment."""
    if not isinstance(document, Mapping):
        return []
    faulty = {problem.path.partition(".")[0].partition("[")[0] for problem in found}
    # A key that nobody knows may be one that an instance class adds, which could not be asked.
    rest = {key: value for key, value in document.items() if key in KNOWN_KEYS and key not in faulty}
    if len(rest) == len(document):
        return []
    try:
        config = from_document(rest, home, env, where=where)
    except RunplaneError as error:
        more = _found_in(error)
        return more + _found_in_the_rest(rest, more, home, env, where, allow_missing_env)
    return check_config(config, env, allow_missing_env=allow_missing_env).errors


def check_config(config: InstanceConfig, env: Mapping[str, str], *, allow_missing_env: bool = False) -> CheckReport:
    """Check a configuration whole, classes of third parties and the environment included.

    Args:
        config: from a file or from an InstanceRef.
        env: where `{env: NAME}` is looked up; not looked at when `allow_missing_env`.
        allow_missing_env: check a file on another machine than the one it is for.
    """
    problems, literals = Problems(), Problems()
    resolved: dict[str, Mapping[str, Any]] = {}
    for name, part in shown_parts(config).items():
        schema = _schema(part, problems)
        shown = HIDDEN if schema is None else schema.fill(part.config, hide=True)
        resolved[name] = {"module": public_module(part.module), "class": part.class_name, "config": shown}
        if schema is not None and name in config.written | set(STORAGE_TRIO):
            at_config = Problems(part.path, literals.found)
            schema.literals(part.config, at_config)
            if not allow_missing_env:
                schema.resolve(part.config, env, Problems(part.path, problems.found))
    for name, section in config.sections.items():
        _check_section(name, section, None if allow_missing_env else env, problems)
    storage_is_right = not any(problem.path.startswith(("storage", *STORAGE_TRIO)) for problem in problems.found)
    storage_warnings = _check_storage(config, env, problems) if storage_is_right and not allow_missing_env else []
    if config.refuse_literal_secrets:
        problems.found.extend(literals.found)
    settings = [] if problems.found else _later_settings(config)
    warnings = [
        *not_active_yet(config),
        *settings,
        *_relative_folders(config),
        *storage_warnings,
        *([] if config.refuse_literal_secrets else literals.found),
    ]
    return CheckReport(_once(problems.found), _once(warnings), resolved)


def literal_secrets(config: InstanceConfig) -> list[str]:
    """Places where a secret stands as a literal: it travels in each document that holds the instance."""
    found = Problems()
    for name, part in shown_parts(config).items():
        if part.known is not None and name in config.written | set(STORAGE_TRIO):
            part.known.schema.literals(part.config, Problems(part.path, found.found))
    return list(dict.fromkeys(problem.path for problem in found.found))


def validate_whole(config: InstanceConfig, env: Mapping[str, str]) -> CheckReport:
    """``check_config``, for submit and the daemon. Raises ConfigErrors if there is an error; the report has the warnings."""
    report = check_config(config, env)
    if not report.ok:
        raise ConfigErrors(report.errors, where=config.where)
    return report


def instance_info(config: InstanceConfig, env: Mapping[str, str]) -> dict[str, str]:
    """Where everything is kept, for a person: label -> place. What can not be told says why."""
    return {
        "configuration": config.where,
        "home": str(config.home) if config.home else "none: the instance came in a document",
        "runs and events": _told(lambda: str(storage_location(config, env))),
        "artifacts": _told(lambda: str(artifact_folder(config, env))),
        "compute logs": _told(lambda: _compute_logs(config, env)),
        "run launcher": str(config.run_launcher.pointer),
        "run coordinator": str(config.run_coordinator.pointer)
        if "run_coordinator" in config.written
        else "none chosen: runs are launched at once",
    }


def _told(tell: Any) -> str:
    try:
        return str(tell())
    except RunplaneError as error:
        return f"can not be told: {error}"


def _compute_logs(config: InstanceConfig, env: Mapping[str, str]) -> str:
    part = config.compute_logs
    known = part.known
    if known is None or not {"base_dir", "bucket"} & set(part.config):
        return str(part.pointer)
    problems = Problems(part.path)
    resolved = known.schema.resolve(part.config, env, problems)
    if problems.found:
        raise ConfigErrors(problems.found, where=config.where)
    if "bucket" in resolved:
        return f"{part.pointer} in the bucket {resolved['bucket']}, prefix {resolved['prefix']}"
    return str(resolved["base_dir"])


def shown_parts(config: InstanceConfig) -> dict[str, Part]:
    """The parts as a person wrote them: the three storages instead of the composite that stands for them."""
    inside = storage_parts(config.parts)
    rest = {name: part for name, part in config.parts.items() if name not in (*STORAGE_TRIO, "storage")}
    if "run_coordinator" in rest and "run_coordinator" not in config.written:
        # Dagster's default is a queue; here runs are launched at once unless a queue is asked for.
        rest["run_coordinator"] = replace(rest["run_coordinator"], class_name="DefaultRunCoordinator", source={})
    return {**rest, **inside}


def _schema(part: Part, problems: Problems) -> Schema | None:
    """The schema of a part's class, after checking its config against it; None if the class can not be had."""
    known = part.known
    if known is not None or is_dagsters(part.module):
        before = len(problems.found)
        check_part(part, problems)
        return known.schema if known is not None and len(problems.found) == before else None
    if part.name == "instance_class":
        return _ANY_MAP
    try:
        found = find_class(part)
        check_contract(part, found.cls)
        schema = found.schema
    except RunplaneError as error:
        problems.found.append(_as_problem(error, part.path.removesuffix(".config")))
        return None
    before = len(problems.found)
    schema.check(part.config, Problems(part.path, problems.found))
    return schema if len(problems.found) == before else None


def _check_section(name: str, section: Any, env: Mapping[str, str] | None, problems: Problems) -> None:
    at_section = problems.at(name)
    schema = SECTIONS.get(name)
    if schema is None:
        return  # of a newer Dagster; it travels on
    before = len(problems.found)
    schema.check(section, at_section)
    if env is not None and len(problems.found) == before:
        schema.resolve(section, env, at_section)


def _check_storage(config: InstanceConfig, env: Mapping[str, str], problems: Problems) -> list[Problem]:
    """With the environment at hand: whether the storage is one database. Returns a warning for one that is not built yet."""
    try:
        location = storage_location(config, env)
    except ConfigErrors as error:
        problems.found.extend(error.problems)
    except UnsupportedError as error:
        if not any(_is_later(part) for part in storage_parts(config.parts).values()):
            return [_as_problem(error, "storage")]
    except RunplaneError as error:
        problems.found.append(_as_problem(error, "storage"))
    else:
        if isinstance(location, CustomStorage):
            _schema(location.part, problems)
    return []


def _is_later(part: Part) -> bool:
    return part.known is not None and part.known.status == "later"


def not_active_yet(config: InstanceConfig) -> list[Problem]:
    """One warning for each thing that loads now and works in a later version."""
    found = [
        Problem(name, f"{part.class_name} loads, and can not be built by this version yet. {part.known.instead}")
        for name, part in shown_parts(config).items()
        if name in config.written and part.known is not None and part.known.status == "later"
    ]
    if config.run_launcher.class_name in MAKES_JOBS and any(
        p.class_name in SQLITE_CLASSES for p in storage_parts(config.parts).values()
    ):
        found.append(Problem("storage", "SQLite can not be shared by pods", expected="Postgres, when runs are pods"))
    for name, loop in _LOOPS.items():
        section = config.sections.get(name)
        if section and section.get("enabled", True) is not False:
            found.append(Problem(name, f"has no effect yet: {loop} comes with a later version"))
    return found


def _later_settings(config: InstanceConfig) -> list[Problem]:
    """One warning for each single setting that is read and has no effect in this version."""
    found = []
    pools = (config.sections.get("concurrency") or {}).get("pools") or {}
    if "cancellation_thread_poll_interval_seconds" in (config.sections.get("run_monitoring") or {}):
        at = "run_monitoring.cancellation_thread_poll_interval_seconds"
        found.append(Problem(at, "has no effect: a worker hears of a cancel with its heartbeat, every 5 s"))
    found += _unused_by_the_queue(config, pools)
    for part in storage_parts(config.parts).values():
        ours = part.config.get("runplane")
        for key in ("pool_size", "max_overflow"):
            if isinstance(ours, Mapping) and key in ours:
                text = "has no effect yet: a process keeps one connection in this version"
                found.append(Problem(f"{part.path}.runplane.{key}", text))
    return found


def _relative_folders(config: InstanceConfig) -> list[Problem]:
    """One warning for each folder that is another one in another working directory."""
    return [
        Problem(
            f"{part.path}.base_dir",
            "a relative folder: each working directory has one of its own",
            got=repr(part.config["base_dir"]),
            expected="an absolute path",
        )
        for part in shown_parts(config).values()
        if part.known is not None
        and isinstance(part.config.get("base_dir"), str)
        and not Path(part.config["base_dir"]).is_absolute()
    ]


def _unused_by_the_queue(config: InstanceConfig, pools: Mapping[str, Any]) -> list[Problem]:
    """Settings of a queue that mean nothing here: there is no queue, or no code location is asked to launch a run."""
    found = []
    coordinator = config.run_coordinator
    if coordinator.class_name != "QueuedRunCoordinator" or "run_coordinator" not in config.written:
        runs = (config.sections.get("concurrency") or {}).get("runs") or {}
        unused = [f"concurrency.runs.{key}" for key in runs]
        unused += ["concurrency.pools.granularity"] if pools.get("granularity") == "run" else []
        unused += ["concurrency.pools.op_granularity_run_buffer"] if "op_granularity_run_buffer" in pools else []
        return [Problem(at, "has no effect: it is for a queue, and runs are launched at once") for at in unused]
    for key in ("max_user_code_failure_retries", "user_code_failure_retry_delay"):
        if coordinator.config.get(key):
            text = "has no effect: no code location is asked to launch a run, so none can be away"
            found.append(Problem(f"{coordinator.path}.{key}", text))
    if coordinator.config.get("dequeue_use_threads") is False:
        text = "has no effect: runs are always launched in threads, so that one that hangs holds up no other"
        found.append(Problem(f"{coordinator.path}.dequeue_use_threads", text, expected="dequeue_num_workers"))
    return found


def _as_problem(error: RunplaneError, path: str) -> Problem:
    stop = "" if error.message.endswith((".", "?", "!")) else "."
    message = f"{error.message}{stop} {error.hint}" if error.hint else error.message
    return Problem(path, message, error.got, error.expected, error.nearest)


def _placed(error: ConfigErrors, where: str) -> list[Problem]:
    """The problems; one that has no path (text that is not YAML) gets the line and column that the error stands at."""
    place = (error.where or "").removeprefix(where).removeprefix(":")
    return [
        p if p.path or not place else Problem(f"line {place.replace(':', ', column ')}", p.message, p.got)
        for p in error.problems
    ]


def _once(problems: list[Problem]) -> list[Problem]:
    """Without repetitions: the three storages often share one config."""
    return list(dict.fromkeys(problems))
