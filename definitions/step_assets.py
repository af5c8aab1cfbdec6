"""What a step may say and know of assets: the part that every step has, and that knows none.

An op of any job may yield something that becomes an event (``AssetMaterialization``, ``AssetObservation``); a step of a job of
assets knows which of its outputs are assets. The steps of other jobs have ``NO_ASSETS``, so whoever performs a step never asks which it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from ..events.asset_key import AssetKey
from ..events.kinds import EventKind
from .errors import DagsterInvalidSubsetError
from .op_context import OpExecutionContext
from .results import DynamicOutput, Output, Valueless

AnyOutput = Output[Any] | DynamicOutput[Any]


class StepNote(NamedTuple):
    """An event that user code, or what it made, adds to the step's story: an annotation."""

    kind: EventKind
    message: str
    body: Mapping[str, Any]


class Notable(ABC):
    """What user code may yield or log beside outputs: it becomes an event."""

    @abstractmethod
    def to_note(self) -> StepNote:
        """The event."""


class AssetSource(NamedTuple):
    """An asset that an input is loaded from, made by an earlier run or by somebody else."""

    key: AssetKey
    io_manager_key: str
    output: str
    metadata: Mapping[str, Any]


class StepAssets:
    """The assets of one step. This one has none."""

    @property
    def keys(self) -> Sequence[AssetKey]:
        """The assets that this step makes in this run, sorted."""
        return ()

    @property
    def check_keys(self) -> Sequence[str]:
        """The checks that this step evaluates in this run, as text, sorted."""
        return ()

    def output_key(self, output: str) -> AssetKey | None:
        """The asset that an output is."""
        return None

    def output_key_of(self, step_node: str, output: str) -> AssetKey | None:
        """The asset that an output of another step of the run is."""
        return None

    def input_key(self, name: str) -> AssetKey | None:
        """The asset that an input takes."""
        return None

    def source(self, name: str) -> AssetSource | None:
        """Where an input is loaded from that no step of this run makes."""
        return None

    def make_context(self, **arguments: Any) -> OpExecutionContext:
        """The context that the op's function gets; the arguments are those of ``OpExecutionContext``."""
        return OpExecutionContext(**arguments)

    def returned(self, value: Any) -> Any:
        """What the function returned: a value, or an iterator of what it might have yielded."""
        return value

    def results(self, item: Any, context: OpExecutionContext) -> Iterable[Any]:
        """Something that the function yielded, as outputs and notes; what is neither is passed on."""
        return (item,)

    def has_value(self, output: AnyOutput) -> bool:
        """Whether there is a value for an IO manager in an output."""
        return not isinstance(output, Valueless)

    def kept(self, output: AnyOutput, metadata: Mapping[str, Any], context: OpExecutionContext) -> Iterable[StepNote]:
        """What is told when an output is there; `metadata` is what was added to it by user code and its IO manager."""
        return ()

    def concluded(self) -> None:
        """All outputs are there. Raises what makes the step fail all the same: a blocking check that did not pass."""


NO_ASSETS = StepAssets()


class JobAssets:
    """The assets of a job. This one has none."""

    @property
    def has_any(self) -> bool:
        """Whether it is a job of assets."""
        return False

    @property
    def inputs(self) -> frozenset[str]:
        """Inputs of the job's graph that are loaded as assets; nobody has to give values for them."""
        return frozenset()

    def step(self, path: str) -> StepAssets:
        """What the op at `path` makes of assets, and takes."""
        return NO_ASSETS

    def where(self, key: AssetKey) -> tuple[str, str] | None:
        """The path of the op, and the output, that is an asset; None: the job does not make it."""
        return None

    @property
    def asset_keys(self) -> AbstractSet[AssetKey]:
        """The assets that the job makes."""
        return frozenset()

    def part(self, keys: Sequence[str] | None, check_keys: Sequence[str] | None) -> tuple[Any, JobAssets]:
        """The graph and the assets of the part of the job that makes these assets and evaluates these checks.

        Raises:
            DagsterInvalidSubsetError: the job does not make one of them.
        """
        raise _no_assets(", ".join([*(keys or ()), *(check_keys or ())]))

    def meant_by(self, query: str) -> tuple[Sequence[str], Sequence[str]]:
        """The assets and the checks of the job that a selection query means, as text.

        Raises:
            DagsterInvalidSubsetError: it is no query, or means what is not there.
        """
        raise _no_assets(query)

    def described(self, query: str | None) -> list[dict[str, Any]]:
        """What is said of the assets that a query means (None: all that are known, external ones too), as plain data, by key."""
        return []


def _no_assets(asked: str) -> DagsterInvalidSubsetError:
    return DagsterInvalidSubsetError("this job makes no assets, so none can be selected.", got=asked)


NO_JOB_ASSETS = JobAssets()
