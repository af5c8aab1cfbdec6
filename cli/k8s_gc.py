"""``k8s gc``: what an instance left behind in its cluster, reported, and deleted on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..instance.instance import Instance
from ..instance.kubernetes_leftovers import Compared, KubernetesLeftovers, Missing, client_of
from ..kube.errors import KubeError
from ..kube.leftovers import Leftover, Why
from .job import say
from .report import as_json, short


def collect(namespaces: Sequence[str], *, yes: bool, unknown: bool, as_document: bool) -> bool:
    """Compare, delete if that is asked for, and print. False: something could not be deleted."""
    with Instance.get(say=say) as instance, client_of(instance) as client:
        comparison = KubernetesLeftovers(instance, client, namespaces)
        found = comparison.compare()
        outcomes = _delete(comparison, found, unknown=unknown) if yes else {}
    if as_document:
        click.echo(as_json(_to_json(found, outcomes, unknown=unknown)))
    else:
        _print(found, outcomes, yes=yes, unknown=unknown)
    return all(outcome in _DONE for outcome in outcomes.values())


_DELETED, _CHANGED = "deleted", "left: it has changed meanwhile"
_DONE = (_DELETED, _CHANGED)


def _delete(comparison: KubernetesLeftovers, found: Compared, *, unknown: bool) -> dict[str, str]:
    """Uid -> what became of it."""
    outcomes: dict[str, str] = {}
    for one in found.leftovers:
        if not _is_meant(one, unknown=unknown):
            continue
        try:
            outcomes[one.uid] = _DELETED if comparison.delete(one) else _CHANGED
        except KubeError as error:
            outcomes[one.uid] = str(error)
    return outcomes


def _is_meant(one: Leftover, *, unknown: bool) -> bool:
    return unknown or one.why is not Why.UNKNOWN


def _print(found: Compared, outcomes: Mapping[str, str], *, yes: bool, unknown: bool) -> None:
    for one in found.leftovers:
        what = f"{one.resource[:-1]} {one.namespace}/{one.name}"
        step = f", step {one.step} attempt {one.attempt}" if one.step else ""
        outcome = outcomes.get(one.uid)
        if outcome is None:
            outcome = "would be deleted" if _is_meant(one, unknown=unknown) else "left: only with --unknown"
        click.echo(f"{what}  run {short(one.run_id)}{step}: {one.detail}: {outcome}")
    for missing in found.missing:
        click.echo(_missing_words(missing))
    click.echo(_summary(found, outcomes, yes=yes, unknown=unknown))


def _missing_words(one: Missing) -> str:
    if one.step is not None:
        return (
            f"job {one.namespace}/{one.job}  run {short(one.run_id)}, step {one.step} attempt {one.attempt}: is not there, and the attempt "
            "has no end. The run's worker sees to that."
        )
    return (
        f"job {one.namespace}/{one.job}  run {short(one.run_id)}: the Job of its worker is not there, and the run is not over. A daemon "
        f"with run_monitoring sees to that, or: runplane run resume {short(one.run_id)}"
    )


def _summary(found: Compared, outcomes: Mapping[str, str], *, yes: bool, unknown: bool) -> str:
    where = f"In {', '.join(found.namespaces)}"
    meant = [one for one in found.leftovers if _is_meant(one, unknown=unknown)]
    left = len(found.leftovers) - len(meant)
    rest = f" {left} more that the database does not know: --unknown." if left else ""
    if not meant:
        return f"{where}: nothing to delete.{rest}"
    if not yes:
        return f"{where}: {len(meant)} to delete. Nothing was changed: --yes deletes.{rest}"
    counts = Counter(outcome if outcome in _DONE else "failed" for outcome in outcomes.values())
    return f"{where}: {', '.join(f'{n} {what}' for what, n in counts.items())}.{rest}"


def _to_json(found: Compared, outcomes: Mapping[str, str], *, unknown: bool) -> dict[str, Any]:
    leftovers = [
        {
            "resource": one.resource,
            "namespace": one.namespace,
            "name": one.name,
            "uid": one.uid,
            "run_id": one.run_id,
            "step": one.step,
            "attempt": one.attempt,
            "why": one.why.name,
            "is_meant": _is_meant(one, unknown=unknown),
            "outcome": outcomes.get(one.uid),
        }
        for one in found.leftovers
    ]
    missing = [
        {"namespace": m.namespace, "job": m.job, "run_id": m.run_id, "step": m.step, "attempt": m.attempt}
        for m in found.missing
    ]
    return {"namespaces": list(found.namespaces), "leftovers": leftovers, "missing": missing}
