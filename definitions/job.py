"""``@job`` and ``graph.to_job``: a graph with the resources, executor, tags and config it runs with.

Source: https://docs.dagster.io/api/dagster/jobs
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, overload

from ..errors.base import ConfigErrors, UnsupportedError
from ..errors.problems import Problems
from ..errors.suggest import nearest
from ..events.asset_key import AssetKey, texts
from ..events.run import Run
from .builtin_executors import in_process_executor, multi_or_in_process_executor
from .composition import Node
from .config_mapping import ConfigMapping
from .config_schema import Permissive
from .errors import DagsterInvalidDefinitionError, DagsterInvariantViolationError
from .executor_definition import ExecutorDefinition
from .graph import Graph, graph_of
from .hooks import HookDefinition, checked_hooks
from .ins_outs import DEFAULT_IO_MANAGER, GraphIn, GraphOut
from .names import check_name
from .ports import InProcessRequest, in_process_port
from .resources import resource_definition
from .result import ExecuteInProcessResult
from .retry_policy import RetryPolicy
from .run_config import plain_run_config
from .step_assets import NO_JOB_ASSETS, JobAssets
from .tags import tags_to_text
from .wiring import WiredOp


class JobDefinition:
    """A job.

    Attributes:
        name: its name.
        graph: its ops.
        resource_defs: what was given to it, as definitions. Without an `io_manager` the default one is used.
        outputs_in_memory: that default keeps values in memory (a run in one process) instead of in files.
        executor_def: what runs its steps.
        tags: text to text; runs start with them.
        run_config: config used when a run gives none.
        config_mapping: makes run config of what a run gives, or None.
        op_retry_policy: for ops that have none of their own.
        input_values: Python values of the graph's inputs, for runs in this process.
        hook_defs: hooks of all its ops.
        logger_defs: loggers that run config may choose; none: the console.
        wiring: all its ops, in plan order, with what each input is made from.
        assets: what it knows of assets; a job of ops knows none.
    """

    def __init__(
        self,
        graph: Graph,
        name: str | None = None,
        *,
        description: str | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        executor_def: ExecutorDefinition | None = None,
        tags: Mapping[str, Any] | None = None,
        run_tags: Mapping[str, Any] | None = None,
        config: Any = None,
        metadata: Mapping[str, Any] | None = None,
        op_retry_policy: RetryPolicy | None = None,
        input_values: Mapping[str, Any] | None = None,
        hooks: AbstractSet[HookDefinition] | None = None,
        logger_defs: Mapping[str, Any] | None = None,
        assets: JobAssets = NO_JOB_ASSETS,
    ) -> None:
        self.name = check_name(name or graph.name)
        self.assets = assets
        self.graph = graph
        self.description = description or graph.description
        self.given_resources: Mapping[str, Any] = dict(resource_defs or {})
        self.given_executor = executor_def
        self.resource_defs = {key: resource_definition(key, given) for key, given in self.given_resources.items()}
        self.outputs_in_memory = False
        self.executor_def = executor_def or multi_or_in_process_executor
        self.definition_tags = tags_to_text({**graph.tags, **(tags or {})})
        self.tags = tags_to_text({**graph.tags, **((run_tags if run_tags is not None else tags) or {})})
        self.config_mapping = config if isinstance(config, ConfigMapping) else None
        self.run_config = {} if config is None or self.config_mapping else plain_run_config(config)
        self.metadata = dict(metadata or {})
        self.op_retry_policy = op_retry_policy
        self.input_values: Mapping[str, Any] = dict(input_values or {})
        self.hook_defs = checked_hooks(hooks, f"job '{self.name}'")
        self.logger_defs: Mapping[str, Any] = dict(logger_defs or {})
        self._check_input_values()
        self.wiring = graph.wiring
        self._by_path = {op.path: op for op in self.wiring}
        self.__doc__ = self.description

    def _check_input_values(self) -> None:
        for name in self.input_values:
            if name not in self.graph.input_dict:
                raise DagsterInvalidDefinitionError(
                    f"Error when constructing JobDefinition '{self.name}': Input value provided for key '{name}', but job "
                    "has no top-level input with that name."
                )

    @property
    def nodes(self) -> Sequence[Node]:
        """Its nodes at the top."""
        return self.graph.nodes

    def wired(self, path: str) -> WiredOp:
        """The op at `path` with its connections.

        Raises:
            DagsterInvariantViolationError: there is none.
        """
        if path not in self._by_path:
            raise DagsterInvariantViolationError(
                f"{self.name} has no op named {path}.", nearest=nearest(path, self._by_path)
            )
        return self._by_path[path]

    def changed(
        self,
        *,
        resource_defs: Mapping[str, Any] | None = None,
        executor_def: ExecutorDefinition | None = None,
        input_values: Mapping[str, Any] | None = None,
        name: str | None = None,
        hooks: AbstractSet[HookDefinition] = frozenset(),
        logger_defs: Mapping[str, Any] | None = None,
        graph: Graph | None = None,
        assets: JobAssets | None = None,
    ) -> JobDefinition:
        """The same job with some parts replaced; `resource_defs`, `input_values` and `hooks` are added to what is there."""
        copy = JobDefinition(
            graph or self.graph,
            name or self.name,
            description=self.description,
            resource_defs={**self.given_resources, **(resource_defs or {})},
            executor_def=executor_def or self.given_executor,
            config=self.config_mapping or self.run_config,
            metadata=self.metadata,
            op_retry_policy=self.op_retry_policy,
            input_values={**self.input_values, **(input_values or {})},
            hooks=self.hook_defs | hooks,
            logger_defs=self.logger_defs if logger_defs is None else logger_defs,
            assets=assets or self.assets,
        )
        copy.definition_tags, copy.tags = self.definition_tags, self.tags
        copy.outputs_in_memory = self.outputs_in_memory
        return copy

    def for_assets(self, keys: Sequence[str] | None, check_keys: Sequence[str] | None = None) -> JobDefinition:
        """The part of a job of assets that makes these assets and evaluates these checks, given as text (``a/b``, ``a/b:check``).

        Args:
            keys: None with `check_keys` None too: the whole job.
            check_keys: None: the checks of the assets.

        Raises:
            DagsterInvalidSubsetError: the job does not make one of them.
        """
        if keys is None and check_keys is None:
            return self
        graph, assets = self.assets.part(keys, check_keys)
        return self.changed(graph=graph, assets=assets)

    def for_run(self, run: Run) -> JobDefinition:
        """The part of the job that a run is of."""
        return self.for_assets(run.asset_selection, run.asset_check_selection)

    def with_top_level_resources(self, resource_defs: Mapping[str, Any]) -> JobDefinition:
        """The job with resources of ``Definitions`` for keys it was given none for."""
        return self.changed(resource_defs={k: v for k, v in resource_defs.items() if k not in self.given_resources})

    def with_executor_def(self, executor_def: ExecutorDefinition) -> JobDefinition:
        """The job with this executor."""
        return self.changed(executor_def=executor_def)

    def with_hooks(self, hook_defs: AbstractSet[HookDefinition]) -> JobDefinition:
        """The job with more hooks, for all its ops."""
        return self.changed(hooks=checked_hooks(hook_defs, f"job '{self.name}'"))

    def with_logger_defs(self, logger_defs: Mapping[str, Any]) -> JobDefinition:
        """The job with these loggers."""
        return self.changed(logger_defs=logger_defs)

    def mapped_run_config(self, run_config: Mapping[str, Any], env: Mapping[str, str] | None) -> Mapping[str, Any]:
        """The run config that the given one stands for, where the job has a config mapping; else the given one.

        Raises:
            ConfigErrors: what is given is not of the mapping's shape.
        """
        if self.config_mapping is None:
            return run_config
        problems = Problems()
        mapped: Mapping[str, Any] = self.config_mapping.map(run_config, problems, env)
        if problems.found:
            raise ConfigErrors(problems.found, where=f"run config of job '{self.name}'")
        return mapped

    def hooks_of(self, op: WiredOp) -> list[HookDefinition]:
        """The hooks of an op, its own and the job's, by name."""
        return sorted(self.hook_defs | op.hooks, key=lambda hook: hook.name)

    def for_one_process(self, resources: Mapping[str, Any] | None = None) -> JobDefinition:
        """The job as ``execute_in_process`` runs it: steps in this process, outputs in memory unless an IO manager was given."""
        copy = self.changed(resource_defs=resources, executor_def=_ANY_CONFIG_IN_PROCESS)
        copy.outputs_in_memory = DEFAULT_IO_MANAGER not in copy.given_resources
        return copy

    def execute_in_process(
        self,
        run_config: Any = None,
        instance: Any = None,
        partition_key: str | None = None,
        raise_on_error: bool = True,
        op_selection: Sequence[str] | None = None,
        asset_selection: Sequence[Any] | None = None,
        run_id: str | None = None,
        input_values: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        resources: Mapping[str, Any] | None = None,
    ) -> ExecuteInProcessResult:
        """Run the whole job in this process and return what came of it. For tests and scripts.

        Args:
            run_config: config of the run; not given: the job's own.
            instance: where the run is kept; None: nowhere.
            partition_key: not supported yet; refused unless None.
            asset_selection: the assets to make, of a job of assets: keys, or text (``a/b``).
            raise_on_error: raise the exception of the first step that fails.
            op_selection: queries naming the ops to run.
            run_id: UUID text; not given: drawn.
            input_values: Python values for the graph's inputs.
            tags: tags of the run, over the job's.
            resources: resources, or definitions, over the job's.

        Raises:
            UnsupportedError: a partition was asked for.
            ConfigErrors: the run config is not right.
            Exception: what user code raised, with `raise_on_error`.
        """
        if partition_key is not None:
            raise UnsupportedError(
                "execute_in_process can not select partitions in this version.", hint="Leave partition_key out."
            )
        keys = None if asset_selection is None else texts(map(AssetKey.from_coercible, asset_selection))
        return in_process_port()(
            InProcessRequest(
                job=self.for_assets(keys).for_one_process(resources).changed(input_values=input_values),
                run_config=self.run_config if run_config is None else plain_run_config(run_config),
                instance=instance,
                raise_on_error=raise_on_error,
                op_selection=tuple(op_selection) if op_selection else None,
                run_id=run_id,
                tags=tags_to_text(tags or {}),
                asset_selection=keys,
            )
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: a job is run, not called."""
        raise DagsterInvalidDefinitionError(
            f"job '{self.name}' was called.", hint=f"To run it in this process: {self.name}.execute_in_process()."
        )

    def __repr__(self) -> str:
        return f"<job {self.name}>"


class GraphDefinition(Graph):
    """A graph that can be made a job of."""

    def to_job(
        self,
        name: str | None = None,
        description: str | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        config: Any = None,
        tags: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        logger_defs: Mapping[str, Any] | None = None,
        executor_def: ExecutorDefinition | None = None,
        hooks: AbstractSet[HookDefinition] | None = None,
        op_retry_policy: RetryPolicy | None = None,
        op_selection: None = None,
        partitions_def: None = None,
        asset_layer: None = None,
        input_values: Mapping[str, Any] | None = None,
        run_tags: Mapping[str, Any] | None = None,
    ) -> JobDefinition:
        """A job of this graph. The arguments are those of ``@job``."""
        _refuse_unsupported(
            f"job '{name or self.name}'",
            op_selection=op_selection,
            partitions_def=partitions_def,
            asset_layer=asset_layer,
        )
        return JobDefinition(
            self,
            name,
            description=description,
            resource_defs=resource_defs,
            executor_def=executor_def,
            tags=tags,
            run_tags=run_tags,
            config=config,
            metadata=metadata,
            op_retry_policy=op_retry_policy,
            input_values=input_values,
            hooks=hooks,
            logger_defs=logger_defs,
        )

    def execute_in_process(
        self,
        run_config: Any = None,
        instance: Any = None,
        resources: Mapping[str, Any] | None = None,
        raise_on_error: bool = True,
        op_selection: Sequence[str] | None = None,
        run_id: str | None = None,
        input_values: Mapping[str, Any] | None = None,
    ) -> ExecuteInProcessResult:
        """Run the graph as a job in this process. The arguments are those of ``JobDefinition.execute_in_process``."""
        return self.to_job(resource_defs=resources).execute_in_process(
            run_config=run_config,
            instance=instance,
            raise_on_error=raise_on_error,
            op_selection=op_selection,
            run_id=run_id,
            input_values=input_values,
        )


@overload
def graph(compose_fn: Callable[..., Any]) -> GraphDefinition: ...


@overload
def graph(
    compose_fn: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, GraphIn] | None = None,
    out: GraphOut | Mapping[str, GraphOut] | None = None,
    tags: Mapping[str, Any] | None = None,
    config: Any = None,
) -> Callable[[Callable[..., Any]], GraphDefinition]: ...


def graph(
    compose_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, GraphIn] | None = None,
    out: GraphOut | Mapping[str, GraphOut] | None = None,
    tags: Mapping[str, Any] | None = None,
    config: Any = None,
) -> Any:
    """Make a graph of a function that calls ops; it runs once, now.

    Args:
        name: not given: the function's.
        description: not given: the docstring.
        ins: descriptions of its inputs, which are the function's parameters.
        out: its outputs by name when it returns several.
        tags: tags of the jobs made of it.
        config: run config of its nodes.

    Raises:
        DagsterInvalidDefinitionError: the body connects what can not be connected.
    """

    def wrap(fn: Callable[..., Any]) -> GraphDefinition:
        return graph_of(
            GraphDefinition, "@graph", fn, name, description=description, ins=ins, out=out, tags=tags, config=config
        )

    return wrap if compose_fn is None else wrap(compose_fn)


@overload
def job(compose_fn: Callable[..., Any]) -> JobDefinition: ...


@overload
def job(
    compose_fn: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    config: Any = None,
    tags: Mapping[str, Any] | None = None,
    run_tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    logger_defs: Mapping[str, Any] | None = None,
    executor_def: ExecutorDefinition | None = None,
    hooks: AbstractSet[HookDefinition] | None = None,
    op_retry_policy: RetryPolicy | None = None,
    partitions_def: None = None,
    input_values: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
) -> Callable[[Callable[..., Any]], JobDefinition]: ...


def job(
    compose_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    config: Any = None,
    tags: Mapping[str, Any] | None = None,
    run_tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    logger_defs: Mapping[str, Any] | None = None,
    executor_def: ExecutorDefinition | None = None,
    hooks: AbstractSet[HookDefinition] | None = None,
    op_retry_policy: RetryPolicy | None = None,
    partitions_def: None = None,
    input_values: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
) -> Any:
    """Make a job of a function that calls ops; it runs once, now.

    Args:
        name: not given: the function's.
        description: not given: the docstring.
        resource_defs: resources or their definitions, by key.
        config: the config of runs that give none, or a ``ConfigMapping`` of their config.
        tags: of the job, and of its runs unless `run_tags` is given. Values that are no text become JSON text.
        run_tags: tags of its runs, in place of `tags`.
        metadata: kept.
        hooks: called after each of its steps.
        logger_defs: loggers that run config may choose; not given: the console.
        partitions_def: not supported yet; refused unless None.
        executor_def: what runs its steps; not given: ``multi_or_in_process_executor``.
        op_retry_policy: for ops that have none of their own.
        input_values: Python values for its parameters, for runs in this process.
        owners: kept with the metadata.

    Raises:
        DagsterInvalidDefinitionError: the body connects what can not be connected.
        UnsupportedError: an argument that is not supported yet.
    """

    def wrap(fn: Callable[..., Any]) -> JobDefinition:
        _refuse_unsupported(f"@job '{name or fn.__name__}'", partitions_def=partitions_def)
        return JobDefinition(
            graph_of(GraphDefinition, "@job", fn, name, description=description, out={}),
            resource_defs=resource_defs,
            executor_def=executor_def,
            tags=tags,
            run_tags=run_tags,
            config=config,
            metadata={**(metadata or {}), **({"owners": list(owners)} if owners else {})},
            op_retry_policy=op_retry_policy,
            input_values=input_values,
            hooks=hooks,
            logger_defs=logger_defs,
        )

    return wrap if compose_fn is None else wrap(compose_fn)


_ANY_CONFIG_IN_PROCESS = in_process_executor.configured(lambda _config: {}, config_schema=Permissive())
"""What ``execute_in_process`` runs steps with: config that is meant for the job's own executor is no error, and of no effect."""


def _refuse_unsupported(where: str, **arguments: object) -> None:
    for name, value in arguments.items():
        if value:
            raise UnsupportedError(f"{name} is not supported in this version.", where=where, hint="Leave it out.")
