"""A file system of a few megabytes, to be full or read-only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.fixtures import not_to_be_had


@dataclass
class SmallDisk:
    """A mounted tmpfs."""

    path: Path

    def resize(self, size: str) -> None:
        """Make it larger or smaller: ``8m``."""
        self._remount(f"size={size}")

    def read_only(self, yes: bool = True) -> None:
        self._remount("ro" if yes else "rw")

    def fill(self) -> None:
        """Leave no room at all."""
        with (self.path / "ballast").open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(b"\0" * 4096)
            except OSError:
                pass

    def clear(self) -> None:
        """Make room again."""
        (self.path / "ballast").unlink()

    def _remount(self, options: str) -> None:
        """As long as somebody has a file open for writing the kernel refuses to make it read-only: who is about to close it has time to."""
        until = time.monotonic() + 20
        while True:
            done = subprocess.run(
                ["mount", "-o", f"remount,{options}", str(self.path)], check=False, capture_output=True, text=True
            )
            if done.returncode == 0:
                return
            assert time.monotonic() < until, done.stderr
            time.sleep(0.1)


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[SmallDisk]:
    """While inside: a disk of that size in the folder. Where nothing can be mounted the test is skipped (in CI it fails)."""
    folder.mkdir(parents=True)
    if os.geteuid() != 0:
        not_to_be_had("only root may mount a small file system")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        not_to_be_had(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
