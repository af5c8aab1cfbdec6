"""Programs that are built from Go modules: the Go that is used, and how."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from services import docker_daemon

OLDEST = (1, 21)
"""From here on Go fetches the newer Go that a module asks for by itself."""
NEEDED = f"Go {OLDEST[0]}.{OLDEST[1]} or newer is needed"
INSTALL = "install it from https://go.dev/dl"
USUAL = Path("/usr/local/go/bin/go")
"""Where its own installer puts it, which no PATH names by itself."""


class BuildFailedError(Exception):
    """A program can not be built. The message says why."""


def run(words: list[str], *, cwd: Path, seconds: float, **environ: str) -> None:
    """``go WORDS``. Not out of the others' way: the suite that takes longest waits for the cluster.

    Raises:
        BuildFailedError: there is no Go, it failed, or it took too long.
    """
    command = [_go(), *words]
    wanted = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", **environ}
    try:
        done = subprocess.run(
            command, check=False, cwd=cwd, env=wanted, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BuildFailedError(f"{' '.join(command)} took longer than {seconds} s") from None
    if done.returncode:
        raise BuildFailedError(f"{' '.join(command)} exited with {done.returncode}: {done.stdout[-2000:]}")


def _go() -> str:
    """A Go that is new enough; in CI it is installed where there is none."""
    found = _find_go()
    if found is None and os.environ.get("CI") and os.geteuid() == 0:
        try:
            docker_daemon.install("golang-go")
        except docker_daemon.DockerUnavailableError as error:
            raise BuildFailedError(f"no Go: {error}") from error
        found = _find_go()
    if found is None:
        raise BuildFailedError(f"{NEEDED}, and there is none, neither on PATH nor as {USUAL}: {INSTALL}")
    asked = subprocess.run([found, "version"], check=False, capture_output=True, text=True)
    said = (asked.stdout or asked.stderr).strip()
    version = re.search(r"go(\d+)\.(\d+)", said)
    if asked.returncode or version is None or (int(version[1]), int(version[2])) < OLDEST:
        raise BuildFailedError(f"{NEEDED}, and {found} says: {said}: {INSTALL}")
    return found


def _find_go() -> str | None:
    return shutil.which("go") or (str(USUAL) if USUAL.exists() else None)
