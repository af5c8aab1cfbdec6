"""Run config: what one run of a job is given, validated whole.

Roots: ``ops``, ``resources``, ``execution``, ``loggers``, ``inputs``. Every problem is found at once, each with its path.
Source: https://docs.dagster.io/guides/operate/configuration/run-configuration
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ..errors.base import ConfigErrors
from ..errors.problems import Problems
from ..serdes.record import record
from .composition import Node
from .config_mapping import ConfigMapping
from .config_schema import ANY, BOOL, FLOAT, INT, STRING, ConfigType, Environment, Field, ScalarUnion, Selector
from .executor_definition import ExecutorDefinition, ExecutorPointer
from .graph import Graph
from .ins_outs import DEFAULT_IO_MANAGER, UNSET, InputDefinition
from .resources import ResourceDefinition

ROOTS = ("ops", "resources", "execution", "loggers", "inputs")
_SCALARS: dict[type, ConfigType] = {int: INT, float: FLOAT, str: STRING, bool: BOOL}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
CONSOLE = "console"
"""The logger of a job that has none of its own: lines on stderr."""
BUILTIN = "dagster.builtin"
"""The Python logger of ``get_dagster_logger``: its lines are always lines of the run that writes them."""


class RunConfig:
    """Run config as an object, for tests and sensors; ``to_config_dict`` is the plain form.

    Source: https://docs.dagster.io/api/dagster/config (RunConfig).
    """

    def __init__(
        self,
        ops: Mapping[str, Any] | None = None,
        resources: Mapping[str, Any] | None = None,
        loggers: Mapping[str, Any] | None = None,
        execution: Mapping[str, Any] | None = None,
    ) -> None:
        self.ops = dict(ops or {})
        self.resources = dict(resources or {})
        self.loggers = dict(loggers or {})
        self.execution = dict(execution or {})

    def to_config_dict(self) -> dict[str, Any]:
        """The plain form."""
        return {
            "ops": {k: _plain_entry(v) for k, v in self.ops.items()},
            "resources": {k: _plain_entry(v) for k, v in self.resources.items()},
            "loggers": self.loggers,
            "execution": self.execution,
        }


def _plain_entry(value: Any) -> Any:
    to_plain = getattr(value, "runplane_to_plain", None)
    return value if to_plain is None else {"config": to_plain()}


def plain_run_config(given: Any) -> Mapping[str, Any]:
    """A mapping or a ``RunConfig`` as a plain mapping."""
    if given is None:
        return {}
    to_dict = getattr(given, "to_config_dict", None)
    plain: Mapping[str, Any] = given if to_dict is None else to_dict()
    return plain


@record
class OpRunConfig:
    """What run config says of one op.

    Attributes:
        config: its config, checked; None when it has none.
        inputs: values of inputs, as ``{"value": ...}``, ``{"json": {"path": ...}}``, ``{"pickle": {"path": ...}}`` or ``{"loaded": ...}``.
    """

    config: Any = None
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@record
class ResolvedRunConfig:
    """Run config as it was understood.

    Attributes:
        ops: by path of the op (``sub.a``), for ops that have config or input values.
        resources: config by resource key.
        executor: which class runs the steps, with its config.
        loggers: config by key of the loggers that it names; none: the console hears everything.
        inputs: values of the job's inputs.
    """

    ops: Mapping[str, OpRunConfig]
    resources: Mapping[str, Any]
    executor: ExecutorPointer
    loggers: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, Any]]

    def for_op(self, node: str) -> OpRunConfig:
        """What is said of the op at path `node`."""
        return self.ops.get(node, _NO_CONFIG)


_NO_CONFIG = OpRunConfig()


def resolve_run_config(
    *,
    job_name: str,
    graph: Graph,
    resource_defs: Mapping[str, ResourceDefinition],
    executor_def: ExecutorDefinition,
    run_config: Mapping[str, Any],
    open_inputs: Mapping[str, frozenset[str]] | None = None,
    selected: frozenset[str] | None = None,
    known_inputs: frozenset[str] = frozenset(),
    env: Environment | None = None,
    logger_defs: Mapping[str, Any] | None = None,
) -> ResolvedRunConfig:
    """Check the config of a run against its job, fill in defaults.

    Args:
        open_inputs: op path -> inputs that lost what they were connected to (by a selection) and need a value.
        selected: op paths that run; others may have config and need none. None: all.
        known_inputs: inputs of the graph for which the job has Python values.
        env: variables for ``{"env": NAME}``; None: only checked, left as they are.
        logger_defs: the job's own loggers.

    Raises:
        ConfigErrors: everything that is wrong, each with its path.
    """
    problems = Problems()
    reader = _Reader(problems, env, open_inputs or {}, selected, known_inputs)
    config = reader.mapping(run_config, problems)
    for key in config:
        if key not in ROOTS:
            problems.unknown_key(str(key), list(ROOTS))
    inputs = reader.graph_inputs(graph, config.get("inputs"))
    reader.graph(graph, "", config.get("ops"), problems.at("ops"), connected=frozenset(inputs) | known_inputs)
    resolved = ResolvedRunConfig(
        ops=reader.ops,
        resources=reader.resources(resource_defs, config.get("resources")),
        executor=reader.execution(executor_def, config.get("execution")),
        loggers=reader.loggers(logger_defs or {}, config.get("loggers")),
        inputs=inputs,
    )
    if problems.found:
        raise ConfigErrors(problems.found, where=f"run config of job '{job_name}'")
    return resolved


class _Reader:
    """One pass over a run config."""

    def __init__(
        self,
        problems: Problems,
        env: Environment | None,
        open_inputs: Mapping[str, frozenset[str]],
        selected: frozenset[str] | None,
        known_inputs: frozenset[str],
    ) -> None:
        self.problems = problems
        self.env = env
        self.open_inputs = open_inputs
        self.selected = selected
        self.known_inputs = known_inputs
        self.ops: dict[str, OpRunConfig] = {}

    def mapping(self, value: Any, problems: Problems) -> Mapping[str, Any]:
        """`value` as a mapping; anything else is a problem and counts as empty."""
        if value is None:
            return {}
        if isinstance(value, Mapping):
            return value
        problems.add("must be a mapping", got=type(value).__name__)
        return {}

    def graph(self, graph: Graph, prefix: str, given: Any, problems: Problems, connected: frozenset[str]) -> None:
        """The ops of one graph. `connected`: the graph's inputs that have a value from outside."""
        entries = self.mapping(given, problems)
        for name in entries:
            if name not in graph.node_dict:
                problems.unknown_key(str(name), list(graph.node_dict))
        for node in graph.node_dict.values():
            self._node(node, prefix + node.name, entries.get(node.name), problems.at(node.name), connected)

    def _node(self, node: Node, path: str, given: Any, problems: Problems, connected: frozenset[str]) -> None:
        lost = self.open_inputs.get(path, frozenset())
        supplied = frozenset(
            name
            for name, dep in node.dependencies.items()
            if name not in lost and all(s.node is not None or s.name in connected for s in dep.sources)
        )
        if isinstance(node.definition, Graph):
            self._graph_node(node, path, given, problems, supplied)
        elif (
            given is not None
            or node.definition.config_field is not None
            or len(supplied) < len(node.definition.input_dict)
        ):
            self._op(node, path, given, problems, supplied)

    def _graph_node(self, node: Node, path: str, given: Any, problems: Problems, supplied: frozenset[str]) -> None:
        graph: Graph = node.definition
        entry = self.mapping(given, problems)
        for key in entry:
            if key not in ("ops", "config"):
                problems.unknown_key(str(key), ["ops", "config"])
        ops = entry.get("ops")
        if graph.config is not None:
            ops = self._of_graph(graph.config, entry.get("config"), problems.at("config"))
        self.graph(graph, f"{path}.", ops, problems.at("ops"), supplied)

    def _of_graph(self, config: Any, given: Any, problems: Problems) -> Any:
        """Config of the ops of a graph that has config of its own: a mapping, a function, or a ``ConfigMapping``."""
        if isinstance(config, ConfigMapping):
            return config.map(given, problems, self.env)
        return config(given) if callable(config) else config

    def _op(self, node: Node, path: str, given: Any, problems: Problems, supplied: frozenset[str]) -> None:
        definition = node.definition
        entry = self.mapping(given, problems)
        known = ["config", "inputs", "outputs"]
        for key in entry:
            if key not in known:
                problems.unknown_key(str(key), known)
        runs = self.selected is None or path in self.selected
        config = self._value(definition.config_field, entry, "config", problems, needed=runs)
        inputs = self._inputs(definition.input_dict, entry.get("inputs"), supplied, problems.at("inputs"), needed=runs)
        if config is not None or inputs:
            self.ops[path] = OpRunConfig(config, inputs)

    def _value(
        self, spec: Field | None, entry: Mapping[str, Any], key: str, problems: Problems, *, needed: bool
    ) -> Any:
        at = problems.at(key)
        if spec is None:
            return entry.get(key)
        if key in entry:
            return spec.config_type.read(entry[key], at, self.env)
        if not spec.is_required:
            default = spec.default_value
            return None if default is UNSET else spec.config_type.read(default, at, self.env)
        if needed:
            at.add("missing", expected=spec.describe())
        return None

    def _inputs(
        self,
        declared: Mapping[str, InputDefinition],
        given: Any,
        supplied: frozenset[str],
        problems: Problems,
        *,
        needed: bool,
    ) -> dict[str, Mapping[str, Any]]:
        entries = self.mapping(given, problems)
        for name in entries:
            if name not in declared:
                problems.unknown_key(str(name), list(declared))
        found: dict[str, Mapping[str, Any]] = {}
        for name, spec in declared.items():
            if name in entries:
                found[name] = self.input_value(spec, entries[name], problems.at(name))
            elif (
                needed
                and name not in supplied
                and not (spec.has_default or spec.type.is_nothing or spec.input_manager_key)
            ):
                problems.at(name).add(
                    "missing: nothing is connected to this input and it has no default", expected=spec.type.display_name
                )
        return found

    def input_value(self, spec: InputDefinition, given: Any, problems: Problems) -> Mapping[str, Any]:
        """An input's value from config: the value itself, or ``value``, ``json`` or ``pickle`` with a path, or what its type's
        loader takes."""
        if spec.type.loader is not None:
            return {"loaded": spec.type.loader.schema_type.read(given, problems, self.env)}
        scalar = _SCALARS.get(spec.type.scalar) if spec.type.scalar else None
        file = Field({"path": str})
        selector = Selector({"value": Field(scalar or ANY), "json": file, "pickle": file})
        is_choice = isinstance(given, Mapping) and set(given) <= {"value", "json", "pickle"} and len(given) == 1
        if scalar is None and not is_choice:
            return {"value": given}
        read = (ScalarUnion(scalar, selector) if scalar else selector).read(given, problems, self.env)
        return read if isinstance(read, Mapping) else {"value": read}

    def graph_inputs(self, graph: Graph, given: Any) -> dict[str, Mapping[str, Any]]:
        """Values of the job's own inputs."""
        return self._inputs(
            graph.input_dict, given, self.known_inputs, self.problems.at("inputs"), needed=self.selected is None
        )

    def resources(self, defs: Mapping[str, ResourceDefinition], given: Any) -> dict[str, Any]:
        """Config of the resources."""
        problems = self.problems.at("resources")
        entries = self.mapping(given, problems)
        known = {*defs, DEFAULT_IO_MANAGER}
        for key in entries:
            if key not in known:
                problems.unknown_key(str(key), list(known))
        found: dict[str, Any] = {}
        for key, definition in defs.items():
            at = problems.at(key)
            entry = self.mapping(entries.get(key), at)
            for name in entry:
                if name != "config":
                    at.unknown_key(str(name), ["config"])
            found[key] = self._value(definition.config_field, entry, "config", at, needed=True)
        if DEFAULT_IO_MANAGER not in defs and DEFAULT_IO_MANAGER in entries:
            entry = self.mapping(entries[DEFAULT_IO_MANAGER], problems.at(DEFAULT_IO_MANAGER))
            found[DEFAULT_IO_MANAGER] = entry.get("config")
        return found

    def execution(self, definition: ExecutorDefinition, given: Any) -> ExecutorPointer:
        """Which executor, with which config."""
        problems = self.problems.at("execution")
        entry = self.mapping(given, problems)
        for key in entry:
            if key != "config":
                problems.unknown_key(str(key), ["config"])
        return definition.pointer(entry.get("config"), problems.at("config"))

    def loggers(self, defs: Mapping[str, Any], given: Any) -> dict[str, Any]:
        """Config of the loggers that are named; of a job without its own only the console can be."""
        problems = self.problems.at("loggers")
        entries = self.mapping(given, problems)
        known = list(defs) or [CONSOLE]
        found: dict[str, Any] = {}
        for key in entries:
            if key not in known:
                problems.unknown_key(str(key), known)
                continue
            at = problems.at(key)
            entry = self.mapping(entries[key], at)
            for name in entry:
                if name != "config":
                    at.unknown_key(str(name), ["config"])
            if defs:
                found[key] = self._value(defs[key].config_field, entry, "config", at, needed=True)
            else:
                found[key] = self._console(entry.get("config"), at.at("config"))
        return found

    def _console(self, given: Any, problems: Problems) -> dict[str, Any]:
        config = self.mapping(given, problems)
        for key in config:
            if key not in ("log_level", "name"):
                problems.unknown_key(str(key), ["log_level", "name"])
        level = str(config.get("log_level", "INFO")).upper()
        if level not in _LEVELS:
            problems.at("log_level").add("no such level", got=repr(config["log_level"]), expected=", ".join(_LEVELS))
        return {"log_level": level, "name": str(config.get("name", "dagster"))}
