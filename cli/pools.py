"""``instance concurrency``: limits of pools, who holds their slots, who waits for one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import click

from ..engine.arcs import StepState
from ..engine.commands import Happened
from ..engine.engine import Engine
from ..errors import ConflictError
from ..events.kinds import Category, category_of
from ..events.status import RunStatus
from ..instance.document_schema import MOST_SLOTS, MOST_SLOTS_ENV
from ..instance.instance import Instance
from ..storage.contract import RunFilter
from ..storage.pools import Pool, Pools
from .job import say
from .report import as_json, short
from .verb import Verb, Verbs

MOST_NAMED = 20
PAGE = 200


@click.group("concurrency", cls=Verbs)
def concurrency() -> None:
    """Pools: how many steps at a time, over all runs, may use something that is scarce."""


@concurrency.command("list", cls=Verb, example="runplane instance concurrency list warehouse")
@click.argument("pool", required=False)
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def list_pools(pool: str | None, as_document: bool) -> None:
    """List the pools that were set or used: limit, slots that are taken and by whom, and which steps wait.

    For pools that are full it reads the events of the runs that need one of them.
    """
    with Instance.get(say=say) as instance:
        pools = Pools(instance.database)
        found = [pools.get(pool)] if pool else pools.usage()
        waiting = _waiting(instance, {p.name for p in found if not p.has_room})
        listed = [_to_json(p, pools, waiting.get(p.name, [])) for p in found]
    if as_document:
        click.echo(as_json({"pools": listed}))
        return
    if not listed:
        say("No pool was set or used yet. Try: runplane instance concurrency set NAME 4")
    for document in listed:
        _print(document)


@concurrency.command("set", cls=Verb, example="runplane instance concurrency set warehouse 4")
@click.argument("pool")
@click.argument("limit", type=int)
def set_limit(pool: str, limit: int) -> None:
    """Set the limit of a pool. With fewer slots than are taken nobody loses one, and nobody gets one until there is room."""
    most = int(os.environ.get(MOST_SLOTS_ENV, MOST_SLOTS))
    if limit > most:
        raise ConflictError(
            "the limit is too high", where=f"pool {pool}", got=str(limit), expected=f"at most {most} ({MOST_SLOTS_ENV})"
        )
    with Instance.get(say=say) as instance:
        pools = Pools(instance.database)
        pools.set_limit(pool, limit)
        click.echo(_words(pools.get(pool)))


@concurrency.command("delete", cls=Verb, example="runplane instance concurrency delete warehouse")
@click.argument("pool")
def delete(pool: str) -> None:
    """Forget the limit of a pool that nobody uses now: it has the default then, concurrency.pools.default_limit."""
    with Instance.get(say=say) as instance:
        Pools(instance.database).delete(pool)
        click.echo(f"{pool}: forgotten.")


def _waiting(instance: Instance, full: set[str]) -> dict[str, list[dict[str, str]]]:
    """For each full pool the steps that could run now, but for a slot of it."""
    found: dict[str, list[dict[str, str]]] = {name: [] for name in full}
    for run_id, step, pools in _ready_steps(instance, full) if full else ():
        for name in full.intersection(pools):
            found[name].append({"run_id": run_id, "step": step})
    return found


def _ready_steps(instance: Instance, full: set[str]) -> Iterator[tuple[str, str, Sequence[str]]]:
    cursor = None
    while True:
        page = instance.runs.page(RunFilter(statuses=(RunStatus.STARTED,)), cursor, PAGE)
        for run in page.runs:
            plan = instance.journal.get_plan(run.plan_id) if run.plan_id else None
            if plan is None or not any(full.intersection(step.pools) for step in plan.steps):
                continue
            engine = Engine(plan, run_id=run.run_id)
            engine.fold(
                Happened(e.kind, e.step, e.n, e.body, e.at)
                for e in instance.journal.history(run.run_id)
                if category_of(e.kind) is not Category.ANNOTATION
            )
            for step in engine.steps.values():
                if step.state is StepState.READY and not step.is_template:
                    yield run.run_id, step.key, step.plan.pools
        cursor = page.cursor
        if cursor is None:
            return


def _to_json(pool: Pool, pools: Pools, waiting: list[dict[str, str]]) -> dict[str, Any]:
    holders = [{"run_id": h.run_id, "step": h.step, "attempt": h.n} for h in pools.holders(pool.name)]
    return {
        "name": pool.name,
        "limit": pool.slots,
        "used": pool.used,
        "is_default": pool.is_default,
        "holders": holders,
        "waiting": waiting,
    }


def _print(document: dict[str, Any]) -> None:
    pool = Pool(document["name"], document["limit"], document["used"], document["is_default"])
    click.echo(_words(pool))
    for title, rows in (("held by", document["holders"]), ("waits", document["waiting"])):
        for row in rows[:MOST_NAMED]:
            attempt = f"#{row['attempt']}" if row.get("attempt", 1) > 1 else ""
            click.echo(f"    {title:<8} {short(row['run_id'])}  {row['step']}{attempt}")
        if len(rows) > MOST_NAMED:
            click.echo(f"    ... and {len(rows) - MOST_NAMED} more")


def _words(pool: Pool) -> str:
    limit = "no limit" if pool.slots is None else f"limit {pool.slots}"
    default = ", the default" if pool.is_default and pool.slots is not None else ""
    return f"{pool.name}: {limit}{default}, {pool.used} taken"
