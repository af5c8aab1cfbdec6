"""A Python that has imported what takes long, and forks a process for each call: for suites that start hundreds of them.

``python warm.py MODULE...`` imports these and waits for calls, one at a time, as lines of JSON. It is started by its path, so that
nothing of runplane is loaded unless it is named: the processes may be there to load another copy.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


class WarmPython:
    """Starts processes, one after the other: each is a process like any other, but that it need not import anything.

    What such a process was given as its environment is not what ``/proc`` shows of it.

    Args:
        imports: modules that it imports first.
    """

    def __init__(self, imports: Sequence[str]) -> None:
        # Without a buffer, as `select` would not see what waits there.
        self._server = subprocess.Popen(
            [sys.executable, __file__, *imports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.pid: int | None = None
        """Of the process that was started; none when its exit code was taken."""

    @property
    def runs(self) -> bool:
        """Whether a process was started and has not ended."""
        return self.pid is not None and not self._has_answered(0)

    def start(
        self,
        call: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        output: Path,
        paths: Sequence[str] = (),
    ) -> None:
        """Start a process.

        Args:
            call: ``module:function``, a program's main function.
            argv: the program's words.
            output: file that its standard output and error go to.
            paths: where modules are looked for first.
        """
        assert self.pid is None, "one at a time"
        request = {"call": call, "argv": argv, "paths": paths, "env": dict(env)}
        request |= {"cwd": str(cwd), "output": str(output)}
        assert self._server.stdin is not None
        self._server.stdin.write(f"{json.dumps(request)}\n".encode())
        self.pid = int(self._answer(None))

    def wait(self, timeout_s: float | None = None) -> int:
        """Its exit code; negative: the signal that ended it.

        Raises:
            TimeoutError: it has not ended by then.
        """
        code = int(self._answer(timeout_s))
        self.pid = None
        return code

    def send_signal(self, number: int) -> None:
        """Nothing to a process that has ended."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End what runs."""
        if self.pid is not None:
            self.send_signal(signal.SIGKILL)
            self.wait()

    def close(self) -> None:
        """End what runs, and itself."""
        self.kill()
        self._server.communicate()

    def _answer(self, timeout_s: float | None) -> bytes:
        if not self._has_answered(timeout_s):
            raise TimeoutError(f"process {self.pid} has not ended within {timeout_s} s")
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line, "the process that starts the others has ended"
        return line

    def _has_answered(self, timeout_s: float | None) -> bool:
        assert self._server.stdout is not None
        return bool(select.select([self._server.stdout], [], [], timeout_s)[0])


_STARTED: dict[tuple[str, ...], list[WarmPython]] = {}


def idle(imports: Sequence[str]) -> WarmPython:
    """One with these imports whose process has ended. They are ended with the process that asks."""
    known = _STARTED.setdefault(tuple(imports), [])
    for one in known:
        if one.pid is None:
            return one
    known.append(WarmPython(imports))
    atexit.register(known[-1].close)
    return known[-1]


def main(imports: Sequence[str]) -> None:
    """Serve calls until nobody can send any more."""
    for name in imports:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            answers.close()
            _become(**json.loads(line))
            return
        print(pid, file=answers)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), file=answers)


def _become(
    call: str, argv: Sequence[str], paths: Sequence[str], env: Mapping[str, str], cwd: str, output: str
) -> None:
    for path, flags, descriptor in (
        (os.devnull, os.O_RDONLY, 0),
        (output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 1),
    ):
        opened = os.open(path, flags, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.dup2(1, 2)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = paths
    sys.argv = [call, *argv]
    module, _, function = call.partition(":")
    getattr(importlib.import_module(module), function)()


if __name__ == "__main__":
    # Its own folder, where modules of ours have names that may be others' names too.
    sys.path = [path for path in sys.path if path != str(Path(__file__).parent)]
    main(sys.argv[1:])
