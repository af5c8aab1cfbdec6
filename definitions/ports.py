"""The one way from a definition to what runs it: a function that the entry point hands in.

Definitions know neither engine nor storage. Whoever starts the program (the package's lazy names, a command, a test) fills the
port with the part that does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

from ..errors.base import UnsupportedError
from ..events.origin import JobOrigin
from ..serdes.record import frozen_record, record
from .result import ExecuteInProcessResult


@frozen_record
class ReexecutionOptions:
    """Which run is executed again, and what of it; what its other steps produced is taken from it.

    Source: https://docs.dagster.io/api/dagster/execution (ReexecutionOptions)

    Attributes:
        parent_run_id: the run.
        step_selection: queries naming steps (``b``, ``b*``, ``work[3]``); empty: all.
        is_from_failure: the steps that did not succeed, and what comes after them. Set by ``from_failure``.
    """

    parent_run_id: str
    step_selection: Sequence[str] = ()
    is_from_failure: bool = field(default=False, kw_only=True)

    @staticmethod
    def from_failure(run_id: str, instance: Any) -> ReexecutionOptions:
        """What did not succeed of a run. It is found when the run is executed again."""
        return ReexecutionOptions(run_id, is_from_failure=True)


@record
class InProcessRequest:
    """A run that is to be executed now, to its end.

    Attributes:
        job: the job (a ``JobDefinition``) as it is to be run, executor and resources put in.
        run_config: plain config.
        instance: where the run is kept; None: in memory, gone afterwards.
        origin: where other processes find the job; None: it exists in this process only.
        raise_on_error: raise the exception of the first step that fails.
        op_selection: queries, or None for all ops.
        run_id: UUID text, or None to draw one.
        tags: tags of the run, over the job's.
        again: the run that this one executes again, and what of it. Then a `run_config` of None is that run's.
        asset_selection: the assets that were asked for, as text; `job` is that part of it already.
    """

    job: Any
    run_config: Mapping[str, Any] | None = field(default_factory=dict)
    instance: Any = None
    origin: JobOrigin | None = None
    raise_on_error: bool = True
    op_selection: tuple[str, ...] | None = None
    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    again: ReexecutionOptions | None = None
    asset_selection: tuple[str, ...] | None = None


class InProcessPort(Protocol):
    """Runs a job to its end, coordinated by this process."""

    def __call__(self, request: InProcessRequest) -> ExecuteInProcessResult:
        """The result of the run. Raises what user code raised when the request says so."""


_port: list[InProcessPort] = []


def set_in_process_port(port: InProcessPort) -> None:
    """Say who runs jobs for this process."""
    _port[:] = [port]


def is_filled() -> bool:
    """Whether it was said who runs jobs."""
    return bool(_port)


def in_process_port() -> InProcessPort:
    """Who runs jobs for this process.

    Raises:
        UnsupportedError: nobody was set.
    """
    if not _port:
        raise UnsupportedError(
            "nothing in this process runs jobs.",
            hint="Import from the package (`from runplane import job`), not from its modules.",
        )
    return _port[0]
