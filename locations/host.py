"""The process that imports user code and answers questions about it: ``python -m runplane.locations.host IN OUT STACKS``.

The arguments are descriptors: questions come by the first, answers go by the second (see ``wire.py``); on SIGUSR1 the stack of
the main thread is written to the third, so that the asker can say where an import hangs.
"""

from __future__ import annotations

import faulthandler
import io
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

from ..definitions.user_errors import error_info, error_text
from ..errors import RunplaneError
from ..events.wire import to_text
from .loaded import LoadedCode, load
from .wire import (
    asked_from_body,
    asset_to_body,
    from_line,
    known_from_body,
    listing_to_body,
    plan_answer,
    refusal_answer,
    request_from_body,
    to_line,
)


def main(arguments: list[str]) -> None:
    """Load, then answer until the asker closes its end."""
    asked, answered, stacks = map(int, arguments)
    for descriptor in (asked, answered, stacks):
        os.set_inheritable(descriptor, False)
    faulthandler.register(signal.SIGUSR1, stacks, all_threads=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The asker kills this process when it has its answers: what an import has printed is to be out by then.
        sys.stdout.reconfigure(line_buffering=True)
    questions: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked, questions), daemon=True).start()
    with os.fdopen(answered, "wb") as out:
        loaded, answer = _load(from_line(questions.get()))
        while True:
            out.write(to_line(answer))
            out.flush()
            question = from_line(questions.get())
            answer = _answered(loaded, question) if loaded is not None else answer


def _listen(descriptor: int, questions: queue.SimpleQueue[bytes]) -> None:
    """Take questions in. At the end of the asker this process ends too, in the middle of an import as well."""
    with os.fdopen(descriptor, "rb") as asked:
        for line in asked:
            questions.put(line)
    os._exit(0)


def _load(question: Mapping[str, Any]) -> tuple[LoadedCode | None, dict[str, Any]]:
    try:
        return load(request_from_body(question)), {"ok": None}
    except Exception as error:  # noqa: BLE001 - whatever it is, the asker is told
        return None, _refusal(error)


def _answered(loaded: LoadedCode, question: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return _answer(loaded, question)
    except Exception as error:  # noqa: BLE001 - whatever it is, the asker is told
        return _refusal(error)


def _answer(loaded: LoadedCode, question: Mapping[str, Any]) -> dict[str, Any]:
    if question["ask"] == "jobs":
        return {"ok": [listing_to_body(listing) for listing in loaded.listings()]}
    if question["ask"] == "assets":
        return {"ok": [asset_to_body(listing) for listing in loaded.assets(question["query"])]}
    if question["ask"] == "pointer":
        return {"ok": to_text(loaded.pointer(question["job"]))}
    return plan_answer(
        loaded.plan(
            question["job"],
            question["selection"],
            asked_from_body(question["assets"]),
            question["run_config"],
            question["step_keys"],
            [known_from_body(known) for known in question["known"]],
        )
    )


def _refusal(error: Exception) -> dict[str, Any]:
    if isinstance(error, RunplaneError):
        return refusal_answer(error)
    # What a definition of the user's raises when it is looked at (a config class, a default): theirs, so their frames.
    return refusal_answer(RunplaneError(error_text(error_info(error))))


if __name__ == "__main__":
    main(sys.argv[1:])
