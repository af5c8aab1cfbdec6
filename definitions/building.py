"""Resources and their contexts outside a run: for tests and scripts.

Source: https://docs.dagster.io/api/dagster/resources (build_resources, build_init_resource_context)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..events.run import Run
from .resources import InitResourceContext, Resources, opened_resources


@contextmanager
def build_resources(
    resources: Mapping[str, Any],
    instance: Any = None,
    resource_config: Mapping[str, Any] | None = None,
    dagster_run: Run | None = None,
    log_manager: logging.Logger | None = None,
    event_loop: Any = None,
) -> Iterator[Resources]:
    """Open resources, each after those that it needs, and close them at the end.

    Args:
        resources: resources, or their definitions, by key.
        instance, dagster_run, log_manager: what their contexts show.
        resource_config: their config, by key, as in run config.
        event_loop: kept out: nothing here runs in a loop of its own.

    Raises:
        DagsterInvalidDefinitionError: one needs another that is not given.
        ConfigErrors: a config is not right.
    """
    log = {} if log_manager is None else {"log": log_manager}
    with opened_resources(resources, resource_config, instance=instance, run=dagster_run, **log) as opened:
        yield opened


class UnboundInitResourceContext(InitResourceContext):
    """A context with which a resource is made in tests. As a context manager it closes the resources that it opened."""

    _opening: Any

    def __enter__(self) -> InitResourceContext:
        return self

    def __exit__(self, *error: Any) -> None:
        self._opening.__exit__(*error)


def build_init_resource_context(
    config: Mapping[str, Any] | None = None, resources: Mapping[str, Any] | None = None, instance: Any = None
) -> UnboundInitResourceContext:
    """A context with which a resource function is called in tests.

    Args:
        config: what ``context.resource_config`` gives.
        resources: resources, or their definitions, by key.
        instance: what ``context.instance`` gives.
    """
    opening = opened_resources(dict(resources or {}), instance=instance)
    made = UnboundInitResourceContext(resource_config=config, resources=opening.__enter__(), instance=instance)
    object.__setattr__(made, "_opening", opening)
    return made
