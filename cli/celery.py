"""``celery``: workers of step queues, as ``dagster-celery`` has them.

``worker status`` is a probe of containers: what it imports is what it costs, so this module imports nothing heavy at its top.
"""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click

from ..daemon import local_file
from ..errors.exit_codes import ExitCode
from .verb import Example, Refusal, Verb, Verbs

MOST_QUEUES = 4
POD_APP = "dagster_celery_k8s.app"
APPS = ("dagster_celery.app", "runplane.celery", POD_APP)
POOLS = ("threads", "prefork", "solo", "eventlet", "gevent", "processes")
GRACE_S = 25.0


def say(text: str) -> None:
    """Tell a person; stdout is for what was asked for."""
    click.echo(text, err=True)


@click.group("celery", cls=Verbs)
def celery() -> None:
    """Workers that run the steps of Celery's queues."""


@celery.group("worker", cls=Verbs)
def worker() -> None:
    """Start a worker, say how it is, list all."""


@worker.command("start", cls=Verb, example="runplane celery worker start -q gpu -q dagster")
@click.option(
    "-A", "--app", metavar="APP",
    help="As in Dagster: dagster_celery.app, or dagster_celery_k8s.app: a cluster has to be there. Ours is meant when it is left out.",
)  # fmt: skip
@click.option("-n", "--name", metavar="NAME", help="For people. [runplane@<host>]")
@click.option(
    "-y",
    "--config-yaml",
    "config_yaml",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The executor's configuration: execution: {config: {broker: ...}}. [the instance's run launcher, if that is Celery's]",
)
@click.option("-q", "--queue", "queues", metavar="QUEUE", multiple=True, help="Up to four. [dagster]")
@click.option(
    "-c", "--concurrency", "slots", metavar="N", type=click.IntRange(1), help="Steps at once. [CPUs of this process]"
)
@click.option("-P", "--pool", type=click.Choice(POOLS), default="threads", show_default=True,
              help="As in Celery. Others are refused: slots are neither threads nor processes here.")  # fmt: skip
@click.option("--grace", metavar="SECONDS", type=click.FloatRange(0), default=GRACE_S, show_default=True,
              help="What running steps have when the worker is told to leave.")  # fmt: skip
def start(
    app: str | None,
    name: str | None,
    config_yaml: Path | None,
    queues: tuple[str, ...],
    slots: int | None,
    pool: str,
    grace: float,
) -> None:
    """Run steps of these queues until SIGTERM. A step that does not end within the grace period is run again elsewhere; pods go on, and are
    watched by another worker."""
    if pool != "threads":
        raise Refusal(
            f"--pool {pool}: a worker runs no user code in its own process. A step is a process or a pod of its own, and its slot costs no"
            " thread. Leave --pool out.",
            ExitCode.BAD_INPUT,
        )
    if app is not None and app not in APPS:
        raise Refusal(
            f"-A {app}: a worker runs steps, and has no app of its own. Leave -A out, or give {APPS[0]}.",
            ExitCode.BAD_INPUT,
        )
    if len(queues) > MOST_QUEUES:
        raise Refusal(f"-q: {len(queues)} queues; a worker listens to {MOST_QUEUES} at most.", ExitCode.BAD_INPUT)
    _check_celery()
    from ..celery_app.settings import DEFAULT_QUEUE, checked_queue
    from ..executors.concurrency import available_cpus
    from ..instance.instance import Instance
    from ..storage.liveness import this_process
    from ..workers.queue_worker import QueueWorker

    listens = list(dict.fromkeys(checked_queue(q, where="-q") for q in queues or (DEFAULT_QUEUE,)))
    with Instance.get(say=say) as instance:
        settings = _settings(instance, config_yaml)
        shown_as, at_once = name or f"runplane@{socket.gethostname()}", slots or available_cpus()
        if app == POD_APP:
            # Said now, and not with the first step.
            _access_of(instance)
        source = _source(instance, settings, listens, shown_as, at_once)
        file = local_file.StateFile(local_file.own_file(this_process().pid, local_file.WORKER), say)
        made = QueueWorker(
            instance,
            source,
            name=shown_as,
            queues=listens,
            slots=at_once,
            grace_s=grace,
            say=say,
            tell=file.tell,
            make_pods=lambda wants_lines: _pods(instance, wants_lines),
        )
        _leave_on_signals(made)
        state = made.state()
        say(f"Process {state['pid']}: {state['slots']} slots, queues {', '.join(listens)}, broker {settings.shown}.")
        try:
            made.run()
        finally:
            file.remove()


def _access_of(instance: Any) -> Any:
    """The way to the cluster: the launcher's, if that makes Jobs, else the pod's service account or a kubeconfig. Raises RunplaneError."""
    from ..kube.access import ClusterAccess, cluster_access

    found = getattr(instance.launcher, "access", None)
    return found if isinstance(found, ClusterAccess) else cluster_access()


def _pods(instance: Any, wants_lines: Any) -> Any:
    from ..workers.queue_pods import PodSteps

    return PodSteps(instance.instance_id, lambda: _access_of(instance), wants_lines)


def _check_celery() -> None:
    from ..errors import UnsupportedError

    try:
        from ..celery_app import app as _  # noqa: F401 - whether it can be imported
    except ModuleNotFoundError as e:
        raise UnsupportedError(
            f"a worker needs the package {e.name!r}, which is not installed",
            hint="Install it: pip install 'runplane[celery]'",
        ) from e


def _settings(instance: Any, path: Path | None) -> Any:
    """What the file says, else the instance's run launcher where that is Celery's, else the default broker."""
    from ..celery_app.settings import celery_settings
    from ..config.schema import Field, FreeMap, Shape, resolve
    from ..instance.class_schemas import CELERY
    from ..instance.yaml_text import parse_yaml

    given: Any = {}
    where, at = "the default broker", ""
    launcher = instance.config.run_launcher
    if path is not None:
        document = parse_yaml(path.read_text(encoding="utf-8"), where=str(path))
        execution = document.get("execution", {}) if isinstance(document, dict) else None
        if not isinstance(execution, dict):
            raise Refusal(f"{path}: expected `execution: {{config: {{broker: ...}}}}`.", ExitCode.BAD_INPUT)
        key = "config" if "config" in execution or "celery" not in execution else "celery"
        given, where, at = execution.get(key) or {}, str(path), f"execution.{key}"
    elif launcher.known is not None and launcher.known.class_name in ("CeleryRunLauncher", "CeleryK8sRunLauncher"):
        given = {k: v for k, v in launcher.config.items() if k in CELERY}
        where, at = str(instance.config.where), "run_launcher.config"
    shape = Shape({**CELERY, "retries": Field(FreeMap())})
    return celery_settings(resolve(shape, given, instance.env, where=where, path=at), instance.env, where=where)


def _source(instance: Any, settings: Any, queues: list[str], name: str, slots: int) -> Any:
    """Where the worker hears of steps.

    Raises:
        RunplaneError: the broker does not answer, or workers of somebody else listen to the same queues.
    """
    from .. import __version__
    from ..celery_app.app import tasks_of_others
    from ..celery_app.broker import Broker
    from ..celery_app.presence import Presence
    from ..errors import ConflictError
    from ..storage.step_queues import StepQueues
    from ..workers.queue_hints import FromBroker, FromDatabase

    stored = StepQueues(instance.database, ttl_s=instance.lease_ttl_s)
    if settings.uses_database:
        return FromDatabase(stored)
    others = tasks_of_others(settings, queues)
    if others:
        name, tasks = next(iter(others.items()))
        raise ConflictError(
            "workers of somebody else listen to the same queues of this broker, and each would take the other's messages",
            where=settings.shown,
            got=f"{name} with {', '.join(tasks[:3]) or 'no tasks'}",
            hint="Use another vhost (RabbitMQ), another database number or `global_keyprefix` in broker_transport_options (Redis), or other queues.",
        )
    presence = Presence(settings, name, queues, slots, version=__version__)
    return FromBroker(Broker(settings), presence, stored, instance.instance_id, say)


def _leave_on_signals(made: Any) -> None:
    def leave(_number: int, _frame: FrameType | None) -> None:
        made.leave()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)


@worker.command("status", cls=Example, example="runplane celery worker status --json")
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def status(as_document: bool) -> None:
    """Whether a worker of this machine or container lives: 0, or 1. Asks a file, neither the database nor the broker."""
    found = local_file.check(kind=local_file.WORKER)
    if as_document:
        import json

        click.echo(json.dumps({"is_live": found.is_live, "workers": local_file.living(local_file.WORKER)}))
    else:
        click.echo(f"{'Worker live' if found.is_live else 'Worker not running'}: {found.text}")
    sys.exit(0 if found.is_live else 1)


@worker.command("list", cls=Verb, example="runplane celery worker list --json")
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def list_workers(as_document: bool) -> None:
    """List the workers and the queues of this instance: what waits, what runs, how many slots there are."""
    from dataclasses import asdict

    from ..instance.instance import Instance
    from ..storage.step_queues import StepQueues
    from .report import as_json

    with Instance.get(say=say) as instance:
        queues = StepQueues(instance.database, ttl_s=instance.lease_ttl_s)
        workers, figures = queues.workers(), queues.figures()
    if as_document:
        click.echo(as_json({"workers": [asdict(w) for w in workers], "queues": [asdict(q) for q in figures]}))
        return
    for one in workers:
        heard = f"heard of {one.age_s:.1f} s ago"
        click.echo(
            f"{one.body.get('name')} process {one.owner.pid} on {one.owner.host}: {one.slots} slots, queues {', '.join(one.queues)},"
            f" protocol {one.body.get('level')}, {heard}"
        )
    for queue in figures:
        nobody = "" if queue.workers else ", NO WORKER"
        oldest = f", the oldest for {queue.oldest_s:.0f} s" if queue.waiting else ""
        click.echo(
            f"queue {queue.name}: {queue.waiting} waiting{oldest}, {queue.running} running of {queue.slots} slots{nobody}"
        )
    if not workers and not figures:
        click.echo("No worker, and nothing waits. Start one: runplane celery worker start")
