"""Of which attempts the lines that their pods printed last are to be kept: of those that failed by themselves and whose log is nowhere else.

Of a pod that was killed the evidence of its end has these lines. A step that stored its outcome has no evidence; its error is in the log,
and what it printed goes with its pod.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..events.causes import FailureCause
from ..events.event import Event
from ..events.kinds import EventKind
from ..storage.contract import AttemptRef

PATIENCE_S = 10.0
"""How long the run's end waits for lines that are on their way."""
CAN_NOT = "What failed steps printed last is not kept with the run"
BAD_ENDS = frozenset({EventKind.STEP_FAILURE.value, EventKind.STEP_UP_FOR_RETRY.value})


class WantedLines:
    """Knows it from what the log says of attempts."""

    def __init__(self) -> None:
        self._settled: set[AttemptRef] = set()

    def heard(self, events: Sequence[Event]) -> list[AttemptRef]:
        """Whose lines are wanted by these events, the next ones in the log; each is told once."""
        wanted: dict[AttemptRef, None] = {}
        for event in events:
            if event.step is None or event.n is None:
                continue
            ref = AttemptRef(event.step, event.n)
            if event.kind in BAD_ENDS:
                if ref not in self._settled and event.body.get("cause") != FailureCause.CANCELED:
                    wanted[ref] = None
                self._settled.add(ref)
            elif event.kind == EventKind.STEP_SUCCESS:
                self._settled.discard(ref)
            elif event.kind == EventKind.ENGINE_EVENT and "evidence" in event.body:
                # Somebody has read it.
                wanted.pop(ref, None)
            elif event.kind == EventKind.STEP_SEALED or (
                event.kind == EventKind.LOGS_CAPTURED and "pod" not in event.body
            ):
                # It has evidence; or its log is kept where others read it.
                self._settled.add(ref)
        return list(wanted)
