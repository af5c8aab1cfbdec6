"""``python -m runplane.cli.step_template``: the program of a worker's templates (``workers/step_templates.py``). It runs ``api execute_step``.

The worker starts it; see ``executors/template`` for what it is told, and by whom.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from ..definitions.code_loading import load_target
from ..events.argv import STEP_ARGS_ENV
from ..events.origin import CodePointer
from ..executors.template.host import serve
from ..executors.template.step_process import Ask, Emit, Perform
from ..workers.step_order import StepDocument
from .api import execute_step


def load(argument: Any) -> Perform:
    """Import a code location's code.

    Raises:
        NotFoundError: no such file, module or attribute.
        CodeLoadError: the code fails when it is imported.
    """
    pointer: CodePointer = argument
    load_target(pointer)
    return _execute


def _execute(order: StepDocument, emit: Emit, ask: Ask) -> None:
    """The body of the verb. It tells nothing here: what happens is written into the database."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ[STEP_ARGS_ENV] = order.document
    sys.argv = ["runplane", "api", "execute_step"]
    execute_step.main([], "runplane api execute_step")


if __name__ == "__main__":
    serve(load)
