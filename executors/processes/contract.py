"""What a job for a process is, how processes are made, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ...events.event import NewEvent
from ...serdes.record import record
from ...storage.contract import AttemptRef
from ..template.wire import Order

READY_AHEAD = 4
"""How many children wait for an order, at most."""


@record
class ProcessSettings:
    """How processes of steps are made.

    Attributes:
        command: argv of the program; a template's or a step's role is added to it. It calls ``template.host.serve``.
        argument: for the program's `load`.
        fork: fork children from a template; False: start each anew.
        import_here: the template imports the code, not each child.
        preload: modules that the template imports besides.
        ready_ahead: how many forked children wait for an order.
        env: environment of the template and its children; None: this process'.
    """

    command: Sequence[str]
    argument: Any
    fork: bool = True
    import_here: bool = True
    preload: tuple[str, ...] = ()
    ready_ahead: int = READY_AHEAD
    env: Mapping[str, str] | None = None


@record
class Job:
    """An order and what belongs to it.

    Attributes:
        task: what the process is told.
        open_output: opens the files of its stdout and stderr; the descriptors are closed here.
        began: called with the pid once it has a process, before anything that the process writes is heard.
    """

    task: Order
    open_output: Callable[[], tuple[int, int]]
    began: Callable[[int], None]


@record
class End:
    """How a process ended, and what is known besides.

    Attributes:
        outcome: its outcome was written.
        status: as ``os.waitpid`` gives it; None when nobody could wait for it.
        left: how it said it would leave: ``return``, ``sys.exit``, ``MemoryError``, ``failed`` (its import), an exception's
            name; None when it said nothing.
        detail: what it said besides.
        why_killed: why it was killed from here; None when it was not.
    """

    outcome: bool = False
    status: int | None = None
    left: str | None = None
    detail: str = ""
    why_killed: str | None = None


class Listener(Protocol):
    """Who hears of jobs. Called from the thread of ``StepProcesses``; must not block."""

    def wrote(self, ref: AttemptRef, events: Sequence[NewEvent], size: int) -> None:
        """Events, in order, and how many bytes they were."""

    def is_full(self) -> bool:
        """Whether to leave unread for now what jobs write; what they can not write they wait with."""

    def ended(self, ref: AttemptRef, end: End) -> None:
        """The process is gone. Nothing more will come of it."""

    def refused(self, ref: AttemptRef, why: str) -> None:
        """No process could be made for it."""

    def unsafe_to_fork(self, findings: Sequence[str]) -> None:
        """The import left something that does not survive a fork; each step is started anew from now on."""

    def wants(self, ref: AttemptRef, kind: str, details: Any, answer: Callable[[bytes | None], None]) -> None:
        """It asks for a value that the database keeps (see ``database_values.answered``), and waits. `answer` may be called from any thread."""

    def failed(self, error: BaseException) -> None:
        """No job will be run any more: the thread that runs them has ended. All processes are gone."""
