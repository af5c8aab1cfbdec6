"""Resources, and the contexts of resources and IO managers, outside a run: for tests and scripts.

Source: https://docs.dagster.io/api/dagster/resources (build_resources, build_init_resource_context),
https://docs.dagster.io/api/dagster/io-managers (build_input_context, build_output_context)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors.base import UnsupportedError
from ..events.asset_key import AssetKey
from ..events.run import Run
from .io_manager import InputContext, OutputContext
from .resources import ClosesResources, InitResourceContext, Resources, opened_resources
from .value_type import ANY


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


class UnboundInitResourceContext(ClosesResources, InitResourceContext):
    """A context with which a resource is made in tests."""


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


class UnboundOutputContext(ClosesResources, OutputContext):
    """A context with which an IO manager keeps a value in tests."""

    def __init__(self, given: Mapping[str, Any], **facts: Any) -> None:
        self._opening = opened_resources(given)
        super().__init__(resources=self._opening.__enter__(), **facts)


class UnboundInputContext(ClosesResources, InputContext):
    """A context with which an IO manager loads a value in tests."""

    def __init__(self, given: Mapping[str, Any], **facts: Any) -> None:
        self._opening = opened_resources(given)
        super().__init__(resources=self._opening.__enter__(), **facts)


def build_output_context(
    step_key: str = "none",
    name: str = "result",
    definition_metadata: Mapping[str, Any] | None = None,
    run_id: str = "EPHEMERAL",
    mapping_key: str | None = None,
    config: Any = None,
    dagster_type: Any = ANY,
    version: str | None = None,
    resource_config: Any = None,
    resources: Mapping[str, Any] | None = None,
    op_def: Any = None,
    asset_key: Any = None,
    partition_key: str | None = None,
    asset_partitions_def: None = None,
    asset_partition_key_range: None = None,
    instance: Any = None,
    asset_spec: Any = None,
    metadata: Mapping[str, Any] | None = None,
    output_metadata: Mapping[str, Any] | None = None,
    **own: Any,
) -> UnboundOutputContext:
    """A context with which an IO manager keeps a value in tests.

    Args:
        step_key, name, run_id, mapping_key, config, dagster_type, version, resource_config, op_def, output_metadata: what it shows.
        definition_metadata: metadata of the output's definition. metadata: its older name.
        resources: resources, or their definitions, by key.
        asset_key: the asset that the output is: a key, or text.
        instance, asset_spec: have no effect: an output knows neither.
        partition_key, asset_partitions_def, asset_partition_key_range: not supported yet; refused unless None.
        **own: what a context shows here and not in Dagster: ``attempt``, ``location``, ``ensure_current``, ``log``, ``job_name``.

    Raises:
        UnsupportedError: a partition was asked for.
    """
    _refuse_partitions("build_output_context", partition_key, asset_partitions_def, asset_partition_key_range)
    return UnboundOutputContext(
        dict(resources or {}),
        step_key=step_key,
        name=name,
        run_id=run_id,
        mapping_key=mapping_key,
        config=config,
        dagster_type=dagster_type,
        version=version,
        resource_config=resource_config,
        op_def=op_def,
        asset_key=_key(asset_key),
        metadata=definition_metadata or metadata,
        output_metadata=output_metadata,
        **own,
    )


def build_input_context(
    name: str = "input",
    config: Any = None,
    definition_metadata: Mapping[str, Any] | None = None,
    upstream_output: OutputContext | None = None,
    dagster_type: Any = ANY,
    resource_config: Any = None,
    resources: Mapping[str, Any] | None = None,
    op_def: Any = None,
    step_context: None = None,
    asset_key: Any = None,
    partition_key: str | None = None,
    asset_partition_key_range: None = None,
    asset_partitions_def: None = None,
    instance: Any = None,
    metadata: Mapping[str, Any] | None = None,
    **own: Any,
) -> UnboundInputContext:
    """A context with which an IO manager loads a value in tests.

    Args:
        name, config, upstream_output, dagster_type, resource_config, op_def: what it shows.
        definition_metadata: metadata of the input's definition. metadata: its older name.
        resources: resources, or their definitions, by key.
        asset_key: the asset that the input is: a key, or text.
        step_context, instance: have no effect: an input knows neither.
        partition_key, asset_partition_key_range, asset_partitions_def: not supported yet; refused unless None.
        **own: what a context shows here and not in Dagster: ``log``, ``job_name``, ``run_id``, ``step_key``.

    Raises:
        UnsupportedError: a partition was asked for.
    """
    _refuse_partitions("build_input_context", partition_key, asset_partition_key_range, asset_partitions_def)
    return UnboundInputContext(
        dict(resources or {}),
        name=name,
        config=config,
        upstream_output=upstream_output,
        dagster_type=dagster_type,
        resource_config=resource_config,
        op_def=op_def,
        asset_key=_key(asset_key),
        metadata=definition_metadata or metadata,
        **own,
    )


def _key(given: Any) -> AssetKey | None:
    return None if given is None else AssetKey.from_coercible(given)


def _refuse_partitions(function: str, *given: Any) -> None:
    if any(value is not None for value in given):
        raise UnsupportedError(
            f"{function} can not stand for a partition in this version.", hint="Leave what it says of partitions out."
        )
