"""``k8s``: what runs and steps become in a cluster, seen without one, and what they left in it."""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigErrors, NotFoundError, Problem, RunplaneError, nearest
from ..errors.exit_codes import ExitCode
from .code_options import CodeOptions, RunOptions, with_code_options, with_location_options
from .verb import Example, Verb, Verbs

_LONGEST_SHOWN = 160
_OUTPUT = click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", help="As which text. [yaml]"
)
_EXPLAIN = click.option(
    "--explain", is_flag=True, help="Each field with its value and who set it, in place of the Job."
)


@click.group("k8s", cls=Verbs)
def k8s() -> None:
    """Kubernetes: what runs and steps become there."""


class _Render(click.Group, Example):
    """A group that is a verb too, with ``--case``."""


@k8s.group(
    "render",
    cls=_Render,
    invoke_without_command=True,
    example="runplane k8s render --case CASE.json | kubectl apply -f -",
)
@click.option("--case", "case", metavar="FILE", help="One file that says all the Job depends on; - is stdin.")
@_OUTPUT
@_EXPLAIN
@click.pass_context
def render(ctx: click.Context, case: str | None, output: str, explain: bool) -> None:
    """Print the exact Job of a run or of a step, without a cluster.

    With --case a file in JSON says all of it; what is wrong is one JSON object `error` on stdout, and exit code 2.
    """
    if ctx.invoked_subcommand is not None:
        if case is not None:
            raise click.UsageError("--case says all of it: give it alone, or `run` or `step`.")
        return
    if case is None:
        raise click.UsageError("Say what to render: run, step, or --case FILE.")
    from .job_case import as_error, render_case

    try:
        rendered = render_case(_read_case(case))
    except RunplaneError as error:
        click.echo(json.dumps(as_error(error), indent=2))
        ctx.exit(ExitCode.BAD_INPUT)
    _print(rendered, output, explain)


def _shared(verb: Any) -> Any:
    """What both verbs take."""
    options = [
        click.option("-j", "--job", metavar="NAME", help="The job, where there are several."),
        click.option("--tags", metavar="JSON", help='Tags of the run, as JSON: {"dagster-k8s/config": {...}}.'),
        click.option("-c", "--run-config", metavar="FILE", help="Run config in YAML."),
        click.option("--instance", metavar="FILE", help="A dagster.yaml. [the instance of the environment]"),
        click.option("--run-id", metavar="UUID", help="Id of the run. [drawn]"),
        _OUTPUT,
        _EXPLAIN,
    ]
    for option in reversed(options):
        verb = option(verb)
    return with_code_options(with_location_options(verb))


@render.command(
    "run", cls=Verb, example="runplane k8s render run -f flow.py -j nightly --instance dagster.yaml --explain"
)
@_shared
@click.option("--resume-attempt", type=click.IntRange(min=0), default=0, help="The n-th resumption. [the first worker]")
def run(code: CodeOptions, resume_attempt: int, output: str, explain: bool, **given: Any) -> None:
    """Print the Job of a run's worker."""
    from .job_case import render_run

    asked = _Asked(code, **given)
    rendered = render_run(
        asked.config,
        os.environ,
        asked.facts(),
        asked.origin,
        asked.run_config,
        resume_attempt=resume_attempt,
        resumes=resume_attempt > 0,
    )
    _print(rendered, output, explain)


@render.command("step", cls=Verb, example="runplane k8s render step -f flow.py --step load -o json")
@_shared
@click.option("--step", "step_key", metavar="KEY", required=True, help="The step's key.")
@click.option("--attempt", type=click.IntRange(min=1), default=1, help="The n-th attempt. [1]")
def step(code: CodeOptions, step_key: str, attempt: int, output: str, explain: bool, **given: Any) -> None:
    """Print the Job of a step, of a job whose executor makes Jobs."""
    from ..kube.job_facts import StepFacts
    from .job_case import CELERY_EXECUTORS, EXECUTORS, render_step

    asked = _Asked(code, **given)
    planned = asked.step(step_key)
    executor = asked.plan.executor
    if executor.get("name") not in (*EXECUTORS, *CELERY_EXECUTORS):
        raise RunplaneError(
            "the steps of this job are no Jobs",
            where=f"job {asked.job}",
            got=f"the executor {executor.get('name')}",
            expected="k8s_job_executor or celery_k8s_job_executor",
        )
    facts = StepFacts(step_key, planned.op_name, "", planned.tags, attempt)
    rendered = render_step(
        asked.config,
        os.environ,
        asked.facts(),
        asked.origin,
        facts,
        executor.get("config") or {},
        with_queues=executor["name"] in CELERY_EXECUTORS,
    )
    _print(rendered, output, explain)


@k8s.command("gc", cls=Verb, example="runplane k8s gc --yes")
@click.option("--yes", is_flag=True, help="Delete it. Without this nothing is changed.")
@click.option("--unknown", is_flag=True, help="What the database does not know, too (its run was deleted, say).")
@click.option(
    "-n", "--namespace", "namespaces", multiple=True, metavar="NAME", help="Where. [the launcher's, live runs']"
)
@click.option("--json", "as_document", is_flag=True, help="For programs.")
@click.pass_context
def gc(ctx: click.Context, yes: bool, unknown: bool, namespaces: tuple[str, ...], as_document: bool) -> None:
    """Compare the cluster with the log of runs: Jobs and pods that nobody needs any more, and Jobs that should be there.

    Only objects with this instance's label are looked at. A finished Job of a run that is known stays (see retention). Each object is
    looked at again, in the database and in the cluster, before it is deleted. Ends with 1 when something could not be deleted.
    """
    from .k8s_gc import collect

    if not collect(namespaces, yes=yes, unknown=unknown, as_document=as_document):
        ctx.exit(ExitCode.FAILED)


class _Asked:
    """What both verbs are asked for, read and prepared."""

    def __init__(
        self,
        code: CodeOptions,
        job: str | None,
        tags: str | None,
        run_config: str | None,
        instance: str | None,
        run_id: str | None,
    ) -> None:
        from .job import prepare
        from .run_config_files import read_run_config, read_tags

        patterns = () if run_config is None else (run_config,)
        options = RunOptions(job, read_run_config(patterns, None), read_tags(tags), None, run_id)
        self.config = _instance(instance)
        self.tags = options.tags
        self.run_config = options.run_config or {}
        self.run_id = run_id or str(uuid.uuid4())
        prepared = prepare(code, options)
        self.job, self.plan, self.origin = prepared.job, prepared.plan, prepared.origin

    def facts(self) -> Any:
        """The run's."""
        from ..kube.container_context import CONFIG_TAG
        from ..kube.job_facts import RunFacts
        from ..kube.user_config import Who

        code = self.origin.repository_origin
        return RunFacts(
            self.run_id,
            self.job,
            {**self.plan.tags, **self.tags},
            Who.RUN_TAG if CONFIG_TAG in self.tags else Who.JOB_TAG,
            code.container_image,
            code.container_context,
            code.entry_point,
        )

    def step(self, key: str) -> Any:
        """The planned step; a mapped one by its own key."""
        template = key.partition("[")[0] + "[?]" if "[" in key else key
        for planned in self.plan.steps:
            if planned.key in (key, template):
                return planned
        raise NotFoundError(
            "the job has no such step", where=f"--step {key}", nearest=nearest(key, [s.key for s in self.plan.steps])
        )


def _instance(file: str | None) -> Any:
    from ..instance.load import from_yaml, load_instance_config

    if file is None:
        return load_instance_config(os.environ)
    return from_yaml(_text(file), Path(file).resolve().parent, os.environ, where=file)


def _read_case(file: str) -> Any:
    text = sys.stdin.read() if file == "-" else _text(file)
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigErrors([Problem("", f"not JSON: {error}")], where=file) from None


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFoundError(f"can not be read: {error}", where=file) from error


def _print(rendered: Any, output: str, explain: bool) -> None:
    for warning in rendered.warnings:
        click.echo(click.style("Warning: ", fg="yellow") + warning, err=True)
    rows = _explained(rendered) if explain else []
    if output == "json":
        click.echo(json.dumps(rows if explain else rendered.manifest, indent=2))
    elif explain:
        for row in rows:
            click.echo(f"{row['path']}: {_short(json.dumps(row['value'], ensure_ascii=False))}  # {row['who']}")
    else:
        import yaml

        click.echo(yaml.safe_dump(rendered.manifest, sort_keys=False, allow_unicode=True, width=120).rstrip("\n"))


def _explained(rendered: Any) -> list[dict[str, Any]]:
    from ..kube.user_config import leaves

    return [{"path": path, "value": value, "who": rendered.sources[path]} for path, value in leaves(rendered.manifest)]


def _short(text: str) -> str:
    """A document would fill the screen; without --explain it is printed whole."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}... ({len(text)} characters)"
