"""The contract of IO managers, and the contexts that they are given.

An IO manager keeps the outputs of steps and loads them as inputs of others. Two methods: ``handle_output``, ``load_input``.
Source: https://docs.dagster.io/api/dagster/io-managers
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

from ..engine.snapshot import IN_DATABASE
from ..events.asset_key import AssetKey
from .errors import DagsterInvariantViolationError
from .ins_outs import UNSET
from .resources import InitResourceContext, ResourceDefinition, Resources, decorator
from .value_type import ANY, ValueType


def _always_current() -> None:
    """Outside a run there is nobody who could have taken the step over."""


def _no_value() -> bytes | None:
    """Outside a run nothing is kept."""
    return None


class OutputContext:
    """One output that is to be kept, or that was kept and is to be loaded.

    Attributes:
        step_key: key of the step that makes it.
        name: the output's name.
        run_id: the run that makes it.
        mapping_key: of a value of a dynamic output, else None.
        attempt: number of the attempt that makes it, from 1.
        metadata: of the output's definition.
        asset_key: the asset that the output is; reading it for the output of an op is an error (ask ``has_asset_key``).
        dagster_type: declared type.
        log: a logger whose lines become events of the run.
        resources: what the IO manager's definition requires.
        resource_config: the IO manager's config.
        op_def: the op that makes it.
        job_name: the job.
        location: where it was kept, as recorded with its event; None while it is being kept.
        kept_value: what the database of runs is to keep, or None.
    """

    def __init__(
        self,
        *,
        step_key: str = "none",
        name: str = "result",
        run_id: str = "EPHEMERAL",
        mapping_key: str | None = None,
        attempt: int = 1,
        metadata: Mapping[str, Any] | None = None,
        output_metadata: Mapping[str, Any] | None = None,
        asset_key: AssetKey | None = None,
        dagster_type: ValueType = ANY,
        log: logging.Logger | None = None,
        resources: Resources | None = None,
        resource_config: Any = None,
        op_def: Any = None,
        job_name: str | None = None,
        config: Any = None,
        version: str | None = None,
        location: Mapping[str, Any] | None = None,
        ensure_current: Callable[[], None] = _always_current,
        read_value: Callable[[], bytes | None] = _no_value,
    ) -> None:
        self.step_key = step_key
        self.name = name
        self.run_id = run_id
        self.mapping_key = mapping_key
        self.attempt = attempt
        self.definition_metadata = dict(metadata or {})
        self.output_metadata = dict(output_metadata or {})
        self._asset_key = asset_key
        self.dagster_type = dagster_type
        self.log = log or logging.getLogger("dagster")
        self.resources = resources or Resources({})
        self.resource_config = resource_config
        self.op_def = op_def
        self.job_name = job_name
        self.config = config
        self.version = version
        self.location = location
        self.recorded_location: dict[str, Any] = {}
        self.logged_metadata: dict[str, Any] = {}
        self._ensure_current = ensure_current
        self._read_value = read_value
        self.kept_value: bytes | None = None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Metadata of the output's definition."""
        return self.definition_metadata

    @property
    def has_asset_key(self) -> bool:
        """Whether the output is an asset."""
        return self._asset_key is not None

    @property
    def asset_key(self) -> AssetKey:
        """The asset that the output is.

        Raises:
            DagsterInvariantViolationError: it is none.
        """
        return _asset(self._asset_key, f"output '{self.name}' of step '{self.step_key}'")

    @property
    def has_partition_key(self) -> bool:
        """Whether the run is for one partition."""
        return False

    @property
    def has_asset_partitions(self) -> bool:
        """Whether the output is an asset with partitions."""
        return False

    def get_identifier(self) -> Sequence[str]:
        """What names this output and no other: run id, step key, output name, and mapping key if it has one."""
        return self.get_run_scoped_output_identifier()

    def get_asset_identifier(self) -> Sequence[str]:
        """What names the asset that this output is: the parts of its key.

        Raises:
            DagsterInvariantViolationError: it is none.
        """
        return list(self.asset_key.path)

    def get_run_scoped_output_identifier(self) -> Sequence[str]:
        """As ``get_identifier``, for an asset too."""
        parts = [self.run_id, self.step_key, self.name]
        return parts if self.mapping_key is None else [*parts, self.mapping_key]

    def add_output_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Show `metadata` with the event that says the output was kept.

        Raises:
            DagsterInvariantViolationError: a label is there twice.
        """
        twice = sorted(set(metadata) & set(self.logged_metadata))
        if twice:
            raise DagsterInvariantViolationError(f"metadata was added twice under the label {twice[0]!r}.")
        self.logged_metadata.update(metadata)

    def get_logged_metadata(self) -> Mapping[str, Any]:
        """The metadata added so far."""
        return dict(self.logged_metadata)

    def record_location(self, **location: Any) -> None:
        """Note where the value is kept (JSON values); it is stored with the output's event and given back when it is loaded."""
        self.recorded_location.update(location)

    def keep_value(self, value: bytes) -> None:
        """Have the database of runs keep the value itself: it travels with the output's event."""
        self.kept_value = value
        asset = {"asset_key": self.asset_key.to_escaped_user_string()} if self.has_asset_key else {}
        self.record_location(**{IN_DATABASE: self.attempt}, **asset)

    def read_value(self) -> bytes | None:
        """What the database of runs keeps of this output (of an asset whose run is not known, the newest); None: nothing."""
        return self._read_value()

    def ensure_current(self) -> None:
        """Return if this attempt still has the right to write.

        Raises:
            FencedError: another attempt took the step over. Publish nothing.
        """
        self._ensure_current()


class InputContext:
    """One input that is to be loaded.

    Attributes:
        name: the input's name.
        upstream_output: the output it is loaded from, or None.
        metadata: of the input's definition.
        dagster_type, log, resources, resource_config, op_def, job_name: as of ``OutputContext``.
        run_id: the run that loads it.
        step_key: the step that loads it.
    """

    def __init__(
        self,
        *,
        name: str = "input",
        upstream_output: OutputContext | None = None,
        metadata: Mapping[str, Any] | None = None,
        asset_key: AssetKey | None = None,
        dagster_type: ValueType = ANY,
        log: logging.Logger | None = None,
        resources: Resources | None = None,
        resource_config: Any = None,
        op_def: Any = None,
        job_name: str | None = None,
        run_id: str = "EPHEMERAL",
        step_key: str | None = None,
        config: Any = None,
    ) -> None:
        self.name = name
        self.upstream_output = upstream_output
        self._asset_key = asset_key
        self.definition_metadata = dict(metadata or {})
        self.dagster_type = dagster_type
        self.log = log or logging.getLogger("dagster")
        self.resources = resources or Resources({})
        self.resource_config = resource_config
        self.op_def = op_def
        self.job_name = job_name
        self.run_id = run_id
        self.step_key = step_key
        self.config = config
        self.logged_metadata: dict[str, Any] = {}

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Metadata of the input's definition."""
        return self.definition_metadata

    @property
    def has_input_name(self) -> bool:
        """Whether it is the input of an op."""
        return True

    @property
    def has_asset_key(self) -> bool:
        """Whether the input is an asset."""
        return self._asset_key is not None

    @property
    def asset_key(self) -> AssetKey:
        """The asset that the input is.

        Raises:
            DagsterInvariantViolationError: it is none.
        """
        return _asset(self._asset_key, f"input '{self.name}'")

    def get_asset_identifier(self) -> Sequence[str]:
        """What names the asset that this input is: the parts of its key.

        Raises:
            DagsterInvariantViolationError: it is none.
        """
        return list(self.asset_key.path)

    @property
    def has_partition_key(self) -> bool:
        """Whether the run is for one partition."""
        return False

    @property
    def has_asset_partitions(self) -> bool:
        """Whether the input is an asset with partitions."""
        return False

    def get_identifier(self) -> Sequence[str]:
        """The identifier of the output it is loaded from.

        Raises:
            DagsterInvariantViolationError: it is loaded from none.
        """
        if self.upstream_output is None:
            raise DagsterInvariantViolationError(f"the input '{self.name}' is not connected to an output.")
        return self.upstream_output.get_identifier()

    def add_input_metadata(self, metadata: Mapping[str, Any], description: str | None = None) -> None:
        """Show `metadata` with the event that says the input was loaded."""
        self.logged_metadata.update(metadata)


def _asset(key: AssetKey | None, where: str) -> AssetKey:
    if key is None:
        raise DagsterInvariantViolationError(
            "Attempting to access asset_key, but it was not provided when constructing the context", where=where
        )
    return key


class InputManager(ABC):
    """Loads inputs."""

    @abstractmethod
    def load_input(self, context: InputContext) -> Any:
        """The value of the input."""


class IOManager(InputManager):
    """Keeps outputs and loads them."""

    @abstractmethod
    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Keep the value `obj`."""


class InputManagerDefinition(ResourceDefinition):
    """How something that loads inputs is made."""

    what = "an input manager"

    @contextmanager
    def open(self, context: InitResourceContext) -> Iterator[Any]:
        """The manager, closed at the end.

        Raises:
            DagsterInvariantViolationError: the function gave something that is none.
        """
        with super().open(context) as made:
            if not hasattr(made, "load_input"):
                raise DagsterInvariantViolationError(
                    f"the function of {self.what} gave something that is none.",
                    got=type(made).__name__,
                    expected=self.what,
                )
            yield made


class IOManagerDefinition(InputManagerDefinition):
    """How an IO manager is made."""

    what = "an IO manager"

    def __init__(
        self,
        resource_fn: Callable[..., Any],
        *arguments: Any,
        in_memory_only: bool = False,
        keeps_files: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(resource_fn, *arguments, **more)
        self.in_memory_only = in_memory_only
        self.keeps_files = keeps_files

    @staticmethod
    def hardcoded_io_manager(value: IOManager, description: str | None = None) -> IOManagerDefinition:
        """A definition that gives `value`."""
        return IOManagerDefinition(lambda: value, description=description)


def io_manager(
    config_schema: Any = UNSET,
    description: str | None = None,
    output_config_schema: None = None,
    input_config_schema: None = None,
    required_resource_keys: AbstractSet[str] | None = None,
    version: str | None = None,
) -> Any:
    """Make an IO manager of a function that gives one, or yields it once and cleans up afterwards.

    Args:
        config_schema: the shape of its config (or the function, when used without parentheses).
        description: for people.
        output_config_schema, input_config_schema: not supported; refused unless None.
        required_resource_keys: other resources that it uses by ``context.resources``.
        version: kept.

    Raises:
        DagsterInvariantViolationError: an argument that is not supported.
    """
    if output_config_schema is not None or input_config_schema is not None:
        raise DagsterInvariantViolationError(
            "config of single outputs and inputs is not supported in this version.",
            hint="Leave output_config_schema and input_config_schema out.",
        )
    return decorator(IOManagerDefinition, config_schema, description, required_resource_keys, version)
