"""A code location asked in a child process, which imports the user's code in our place."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..engine.snapshot import PlanSnapshot, StoredOutput
from ..errors import Problem, RunplaneError
from ..errors.exit_codes import ExitCode
from ..events.origin import CodePointer, JobOrigin, RepositoryOrigin
from ..events.wire import from_text
from .contract import AssetListing, AssetsAsked, JobListing
from .target import CodeRequest
from .wire import (
    asked_to_body,
    asset_from_body,
    from_line,
    known_to_body,
    listing_from_body,
    plan_of_answer,
    request_to_body,
    to_line,
)

STARTUP_TIMEOUT_S = 180.0
"""As ``code_servers.local_startup_timeout`` of an instance that does not say."""
TIMEOUT_ENV = "RUNPLANE_LOCAL_STARTUP_TIMEOUT"
"""Seconds; wins over the instance."""
_STACK_WAIT_S = 5.0
_OUTERMOST = b"in _run_module_as_main"
"""The last line of a stack of ``python -m``: it comes in pieces, a write for each line."""
_PACKAGE_FOLDER = str(Path(__file__).parent.parent)


class CodeSourceError(RunplaneError):
    """The code location can not give what was asked for: no such file or job, code that fails, or takes too long."""

    exit_code = ExitCode.BAD_INPUT


class SubprocessCodeSource:
    """See ``CodeSource``. The child is started at once and imports while the caller does other things.

    Args:
        request: what to load.
        python: the interpreter that has the code's packages, and this one.
        timeout_s: how long the import, or one answer, may take.
        image, container_context: what origins are to say of the code's container.
    """

    def __init__(
        self,
        request: CodeRequest,
        *,
        python: str = sys.executable,
        timeout_s: float = STARTUP_TIMEOUT_S,
        image: str | None = None,
        container_context: Mapping[str, Any] | None = None,
    ) -> None:
        self.image = image
        self.container_context = container_context
        self.timeout_s = timeout_s
        self._request = request
        self._python = python
        self._loaded = False
        self._unread = b""
        self._began = time.monotonic()
        their_questions, self._questions = os.pipe()
        self._answers, their_answers = os.pipe()
        self._stacks, their_stacks = os.pipe()
        theirs = (their_questions, their_answers, their_stacks)
        try:
            # What user code prints while it is imported goes to stderr: stdout is for what was asked for.
            self._child = subprocess.Popen(
                [python, "-m", f"{__package__}.host", *map(str, theirs)],
                stdin=subprocess.DEVNULL,
                stdout=2,
                stderr=2,
                pass_fds=theirs,
                start_new_session=True,  # a Ctrl-C is for the asker, who then ends it
            )
        except OSError as error:
            self._close_pipes()
            raise CodeSourceError(f"the Python of the code can not be started: {error.strerror}", got=python) from error
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self._send(request_to_body(request))

    def jobs(self) -> list[JobListing]:
        """See ``CodeSource``."""
        return [listing_from_body(body) for body in self._ask({"ask": "jobs"})["ok"]]

    def assets(self, query: str | None = None) -> list[AssetListing]:
        """See ``CodeSource``."""
        return [asset_from_body(body) for body in self._ask({"ask": "assets", "query": query})["ok"]]

    def origin(self, job: str) -> JobOrigin:
        """See ``CodeSource``."""
        pointer: CodePointer = from_text(self._ask({"ask": "pointer", "job": job})["ok"])
        repository = RepositoryOrigin(
            self._python, pointer, container_image=self.image, container_context=self.container_context
        )
        return JobOrigin(job, repository)

    def snapshot(
        self,
        job: str,
        *,
        selection: Sequence[str] | None = None,
        assets: AssetsAsked | None = None,
        run_config: Mapping[str, Any] | None = None,
        step_keys: Sequence[str] | None = None,
        known: Sequence[StoredOutput] = (),
    ) -> PlanSnapshot | list[Problem]:
        """See ``CodeSource``."""
        question = {
            "ask": "plan",
            "job": job,
            "selection": selection,
            "assets": asked_to_body(assets),
            "run_config": run_config,
            "step_keys": step_keys,
            "known": [known_to_body(output) for output in known],
        }
        return plan_of_answer(self._ask(question))

    def close(self) -> None:
        """End the child."""
        self._close_pipes()
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()

    def __enter__(self) -> SubprocessCodeSource:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Inside ---------------------------------------------------------------------------------------------------------------

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        if not self._loaded:
            _checked(self._read(self._began + self.timeout_s))
            self._loaded = True
        self._send(question)
        return _checked(self._read(time.monotonic() + self.timeout_s))

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            line = memoryview(to_line(message))
            while line:
                line = line[os.write(self._questions, line) :]
        except BrokenPipeError:
            raise self._ended() from None

    def _read(self, by: float) -> dict[str, Any]:
        """One answer, by that time of the monotonic clock."""
        while b"\n" not in self._unread:
            if not self._wait(self._answers, by):
                raise self._too_slow()
            piece = os.read(self._answers, 1 << 20)
            if not piece:
                raise self._ended()
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return from_line(line)

    def _wait(self, descriptor: int, by: float) -> bool:
        return bool(select.select([descriptor], [], [], max(0.0, by - time.monotonic()))[0])

    def _ended(self) -> CodeSourceError:
        code = self._child.wait()
        how = f"with exit code {code}" if code >= 0 else f"by signal {signal.Signals(-code).name}"
        return CodeSourceError(f"its process ended {how} while it was loaded", where=self._request.describe())

    def _too_slow(self) -> CodeSourceError:
        doing = "answered" if self._loaded else "finished importing"
        return CodeSourceError(
            f"it has not {doing} after {self.timeout_s:g} s{self._where_it_hangs()}",
            where=self._request.describe(),
            hint=f"{TIMEOUT_ENV}=SECONDS, or code_servers.local_startup_timeout in dagster.yaml, gives it more time.",
        )

    def _where_it_hangs(self) -> str:
        """The user's frames of the child's main thread, innermost last; empty when there are none to be had."""
        os.kill(self._child.pid, signal.SIGUSR1)
        by, stack = time.monotonic() + _STACK_WAIT_S, b""
        while _OUTERMOST not in stack and self._wait(self._stacks, by):
            piece = os.read(self._stacks, 1 << 16)
            if not piece:
                break
            stack += piece
        lines = stack.decode(errors="replace").splitlines()
        frames = [line for line in lines if line.lstrip().startswith("File ") and _is_users(line)]
        return ":\n" + "\n".join(reversed(frames)) + "\n" if frames else ""

    def _close_pipes(self) -> None:
        for descriptor in (self._questions, self._answers, self._stacks):
            os.close(descriptor)
        self._questions = self._answers = self._stacks = -1


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    if "refused" in answer:
        parts = dict(answer["refused"])
        raise CodeSourceError(parts.pop("message"), **parts)
    return answer


def _is_users(frame: str) -> bool:
    return _PACKAGE_FOLDER not in frame and "<frozen " not in frame and "runpy.py" not in frame
