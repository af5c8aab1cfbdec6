"""The uploader's process: ``python -m runplane.storage.s3.uploader <pid of the worker>``.

It hears on its standard input, one JSON document a line: first the settings (they hold keys, so they are no argument), then which files
are logs, and which are complete. It outlives its worker: when that is gone, it stores what the worker left and ends. It holds nothing
that can be lost: the logs are files that the steps write themselves.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from .objects import Objects
from .settings import S3Settings
from .uploads import Uploads, as_json

LOOK_FOR_PARENT_S = 0.5
ORPHAN_WAIT_S = 2.0
"""What a killed worker's steps may still print: they end with it, within this time."""
ORPHAN_PATIENCE_S = 600.0
"""How long an uploader whose worker is gone goes on while nothing gets through."""
_READ_BYTES = 1 << 16


def main() -> None:
    """Serve until the worker says that it is over, or is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Told by the worker alone: a signal to a whole group or service must not cost the end of the logs.
        signal.signal(number, signal.SIG_IGN)
    messages = _messages(int(sys.argv[1]))
    settings = S3Settings(**next(messages))
    uploads = Uploads(settings, lambda: Objects(settings))
    for message in messages:
        if "open" in message:
            uploads.open(message["open"], message["paths"], in_memory=message["in_memory"])
        elif "finish" in message:
            uploads.finish(message["finish"])
        else:
            missing = uploads.end(message["end"], _say)
            _say(json.dumps(as_json(missing)))
            return
    time.sleep(ORPHAN_WAIT_S)
    uploads.end(ORPHAN_PATIENCE_S)


def _messages(parent: int) -> Iterator[dict[str, Any]]:
    """What the worker says, until it is gone. A child of the worker may hold its end of the pipe: so the parent is looked for too."""
    kept = b""
    while True:
        ready, _, _ = select.select([0], [], [], LOOK_FOR_PARENT_S)
        if ready:
            data = os.read(0, _READ_BYTES)
            if not data:
                return
            *lines, kept = (kept + data).split(b"\n")
            for line in lines:
                yield json.loads(line)
        elif os.getppid() != parent:
            return


def _say(text: str = "") -> None:
    # The worker may be killed while it waits: what is left is stored all the same.
    with suppress(BrokenPipeError):
        os.write(1, f"{text}\n".encode())


if __name__ == "__main__":
    main()
