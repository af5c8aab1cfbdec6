"""``python -m runplane.cli.step_template``: the program of a worker's templates (``workers/step_templates.py``). It runs ``api execute_step``.

The worker starts it; see ``executors/template`` for what it is told, and by whom.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import Any

from ..definitions.code_loading import load_target
from ..errors import RunplaneError
from ..events.argv import STEP_ARGS_ENV
from ..events.requests import ExecuteStepArgs
from ..executors.template.host import serve
from ..executors.template.step_process import Ask, Emit, Perform
from ..instance.instance import Instance
from ..storage.liveness import this_process
from ..workers.child_writes import ByWorker
from ..workers.step_order import StepDocument
from .api import execute_step


def load(argument: Any) -> Perform:
    """Import a code location's code.

    Raises:
        NotFoundError: no such file, module or attribute.
        CodeLoadError: the code fails when it is imported.
    """
    first: ExecuteStepArgs = argument
    load_target(first.origin.repository_origin.code_pointer)
    _do_once_what_each_step_does(first)
    return _execute


def _do_once_what_each_step_does(args: ExecuteStepArgs) -> None:
    """Read the words of the verb, the step in the database, and which process of which host this is. What is loaded, compiled and looked up
    for that is there for all that are forked: a fifth of a short step's processor time. What goes wrong is each step's own to tell."""
    execute_step.make_context("execute_step", ["{}"])
    this_process()
    with suppress(RunplaneError), Instance.for_worker(args.instance, run_id=args.run_id, wait_s=0.0) as instance:
        instance.wait_at_most(0.0)
        instance.journal.brief(args.run_id, (args.step_keys or ("",))[0])


def _execute(order: StepDocument, emit: Emit, ask: Ask) -> None:
    """The body of the verb. It tells nothing here: what happens is written into the database, by the worker or from here."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ[STEP_ARGS_ENV] = order.document
    sys.argv = ["runplane", "api", "execute_step"]
    execute_step.main([], "runplane api execute_step", obj=partial(ByWorker, ask, order.ref))


if __name__ == "__main__":
    serve(load)
