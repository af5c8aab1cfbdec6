"""The program of a hidden worker's templates (``hidden_worker.py``): each step notes its session, and gets the variables of a file."""

from __future__ import annotations

import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

from runplane.cli import step_template
from runplane.executors.template.host import serve
from runplane.executors.template.step_process import Ask, Emit, Perform
from runplane.testing.crashing import STEP_CRASH_ENV
from runplane.workers import event_sink
from runplane.workers.step_order import StepDocument

VARIABLES_ENV, SESSIONS_ENV = "HIDDEN_WORKER_VARIABLES", "HIDDEN_WORKER_SESSIONS"
"""Names of files."""


def load(argument: Any) -> Perform:
    """As the real program."""
    execute = step_template.load(argument)

    def perform(order: StepDocument, emit: Emit, ask: Ask) -> None:
        with Path(os.environ[SESSIONS_ENV]).open("a", encoding="utf-8") as sessions:
            sessions.write(f"{os.getsid(0)}\n")
        variables = json.loads(Path(os.environ[VARIABLES_ENV]).read_text(encoding="utf-8"))
        os.environ.update(variables)
        step, _, point = variables.get(STEP_CRASH_ENV, "").rpartition(":")
        dies = step and order.ref.n == 1 and order.ref.step.partition(" ")[2] == step
        execute(order, emit, dying(ask, int(point)) if dies else ask)

    return perform


def dying(ask: Ask, at: int) -> Ask:
    """Asks as a step does whose worker writes for it, and dies (SIGKILL) before the k-th answer is asked for (2 * k - 1) or when it has come (2 * k)."""
    # On a slow machine the thread that sends an output soon would send the outcome with it, and leave nothing to ask for.
    event_sink.OUTPUT_FLUSH_S = event_sink.FLUSH_S
    points = itertools.count(1)

    def die_if_it_is_time() -> None:
        if next(points) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def dies(kind: str, details: Any) -> bytes | None:
        die_if_it_is_time()
        answer = ask(kind, details)
        die_if_it_is_time()
        return answer

    return dies


if __name__ == "__main__":
    serve(load)
