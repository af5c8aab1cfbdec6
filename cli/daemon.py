"""``daemon``: what goes on without a person: the queue, launches, and whatever else the instance asks for."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

import click

from ..daemon import local_file
from ..errors.exit_codes import ExitCode
from .verb import Example, Refusal, Verb, Verbs


def say(text: str) -> None:
    """Tell a person; stdout is for what was asked for."""
    click.echo(text, err=True)


@click.group("daemon", cls=Verbs)
def daemon() -> None:
    """The daemon starts runs that wait in the queue. Any number of equal ones may run."""


@daemon.command("run", cls=Verb, example="runplane daemon run --only queue --only launch")
@click.option("--only", metavar="LOOP", multiple=True, help="This loop only; several: these. [all that are asked for]")
@click.option(
    "--metrics-port", metavar="PORT", type=click.IntRange(0, 65535), help="Answer Prometheus here; 0: any free port."
)
def run(only: tuple[str, ...], metrics_port: int | None) -> None:
    """Run the loops that the instance asks for, until SIGTERM or Ctrl-C."""
    from ..daemon.loops import loops_of
    from ..daemon.service import Service
    from ..instance.check import validate_whole
    from ..instance.instance import Instance
    from ..storage.liveness import this_process

    metrics = figures = None
    if metrics_port is not None:
        Metrics, FiguresLoop = _metrics_parts()
        metrics = Metrics(figures := FiguresLoop())
    with Instance.get(say=say) as instance:
        for warning in validate_whole(instance.config, instance.env).warnings:
            say(f"warning: {warning}")
        ttl_s = instance.daemon_ttl_s
        loops = loops_of(instance, ttl_s=ttl_s, only=only)
        if not loops:
            say("Nothing is asked of a daemon: runs are launched at once. A queue is asked for by `run_queue`.")
            raise click.exceptions.Exit(int(ExitCode.BAD_INPUT))
        if figures is not None:
            loops.append(figures)
        me = this_process()
        file = local_file.own_file(me.pid)
        service = Service(instance, loops, ttl_s=ttl_s, file=file, say=say, watch=metrics, me=me)
        _end_on_signals(service)
        say(f"Process {me.pid}: {', '.join(loop.name for loop in loops)}.")
        if metrics is not None and metrics_port is not None:
            metrics.show(service)
            try:
                say(f"Metrics: http://localhost:{metrics.serve(metrics_port)}/metrics")
            except OSError as e:
                raise Refusal(f"--metrics-port {metrics_port}: {e.strerror}.", ExitCode.BAD_INPUT) from e
        service.run()


def _metrics_parts() -> tuple[Any, Any]:
    """What shows metrics: loaded only when it is asked for, and then it has to be installed.

    Raises:
        UnsupportedError: it is not.
    """
    from ..errors import UnsupportedError

    try:
        from ..daemon.figures_loop import FiguresLoop
        from ..daemon.metrics import Metrics
    except ModuleNotFoundError as e:
        raise UnsupportedError(
            f"metrics need the package {e.name!r}, which is not installed",
            where="--metrics-port",
            hint="Install it: pip install 'runplane[metrics]'",
        ) from e
    return Metrics, FiguresLoop


def _end_on_signals(service: Any) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        service.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


@daemon.command("status", cls=Verb, example="runplane daemon status --json")
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def status(as_document: bool) -> None:
    """Say which daemons there are, how their loops are, and how long the queue is. Ends with 1 when none is heard of."""
    from ..daemon.status import describe, read_status
    from ..instance.instance import Instance
    from .report import as_json

    with Instance.get(say=say) as instance:
        found = read_status(instance)
    if as_document:
        click.echo(as_json(found))
    else:
        for line in describe(found):
            click.echo(line)
    if not any(one["is_live"] for one in found["daemons"]):
        raise click.exceptions.Exit(int(ExitCode.FAILED))


@daemon.command("liveness-check", cls=Example, example="runplane daemon liveness-check")
def liveness_check() -> None:
    """Whether a daemon of this machine or container lives: 0, or 1. Asks a file, not the database."""
    found = local_file.check()
    click.echo(f"{'Daemon live' if found.is_live else 'Daemon(s) not running'}: {found.text}")
    sys.exit(0 if found.is_live else 1)
