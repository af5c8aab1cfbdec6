"""A template's process that was started and has been told nothing yet: it loads our own modules, and waits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

JOB_PROGRAM = (sys.executable, "-m", "runplane.executors.template")
"""The program that runs the steps of a job."""


class Started:
    """A process of a program that calls ``template.host.serve``, and the end of its connection that is ours.

    Args:
        command: argv of the program; the template's role is added to it.
        env: its environment; None: this process'.

    Attributes:
        process: it. It ends with the thread that made this object.
        sock: the connection.

    Raises:
        OSError: it can not be started.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self.sock, theirs = socket.socketpair()
        try:
            role = ["template", str(theirs.fileno()), str(os.getpid())]
            self.process = subprocess.Popen(
                [*command, *role],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=dict(env) if env is not None else None,
            )
        except OSError:
            self.sock.close()
            raise
        finally:
            theirs.close()
        self._is_taken = False

    def take(self) -> Started:
        """It belongs to the caller from now on."""
        self._is_taken = True
        return self

    def discard(self) -> None:
        """End it, unless somebody took it; return when it is gone."""
        if self._is_taken:
            return
        self.process.kill()
        self.process.wait()
        self.sock.close()
