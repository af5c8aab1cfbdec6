"""A real S3 server for tests, and the power to take it away in the middle of one.

Versity's S3 gateway: S3's protocol (signatures, multipart uploads, ranges, listings) over a folder. It is one program, built from its
Go module once and kept under ``.cache/``. Whoever needs it first builds it, others wait for that: ``make test`` starts the build beside
the first suites.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from services import go_programs
from services.ports import free_port

MODULE = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".cache" / "versitygw" / VERSION
START_SECONDS = 60
BUILD_SECONDS = 1500


class S3UnavailableError(Exception):
    """There is no gateway and none can be built; the message says why."""


class S3Server:
    """A running gateway.

    `stop` ends it as an administrator would; `pause` freezes it with its connections open; `start` undoes either and returns once it
    answers again. What was stored stays.

    Attributes:
        endpoint: its URL.
        access_key, secret_key: the root account.
        region: what clients have to sign for.
    """

    def __init__(
        self,
        program: Path,
        folder: Path,
        *,
        access_key: str | None = None,
        secret_key: str | None = None,
        region: str = "us-east-1",
    ) -> None:
        self.access_key = access_key or f"key{secrets.token_hex(12)}"
        self.secret_key = secret_key or secrets.token_hex(16)
        self.region = region
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("data", "attributes"):
            (folder / name).mkdir(parents=True)
        self.start()

    def make_bucket(self, name: str | None = None) -> str:
        """A fresh, empty bucket: its name, drawn unless it is given."""
        name = name or f"t-{secrets.token_hex(6)}"
        (self._folder / "data" / name).mkdir()
        return name

    def keys(self, bucket: str) -> list[str]:
        """What a bucket holds, in order: looked up in the gateway's own folder, so also while it is stopped."""
        root = self._folder / "data" / bucket
        found = (p.relative_to(root) for p in root.rglob("*") if p.is_file())
        return sorted(str(p) for p in found if not p.parts[0].startswith("."))

    def data(self, bucket: str, key: str) -> bytes:
        """An object's bytes, from the same place."""
        return (self._folder / "data" / bucket / key).read_bytes()

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
        else:
            serve = [str(self._program), "--port", f"127.0.0.1:{self.port}", "--region", self.region]
            files = ["posix", "--sidecar", str(self._folder / "attributes"), str(self._folder / "data")]
            with (self._folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [*serve, *files],
                    env={**os.environ, "ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        self._wait()

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(self.endpoint, timeout=2).close()
                return
            except urllib.error.HTTPError:
                return  # it answers: who asks without a signature is refused
            except OSError as error:
                if time.monotonic() > deadline or (self._process and self._process.poll() is not None):
                    said = (self._folder / "log").read_text(errors="replace")[-2000:]
                    raise TimeoutError(f"the S3 gateway does not answer at {self.endpoint}: {said}") from error
            time.sleep(0.05)


def program() -> Path:
    """The gateway's program: one that the environment names, the one that was built before, or one that is built now.

    Raises:
        S3UnavailableError: none of these.
    """
    named = os.environ.get("RUNPLANE_TEST_VERSITYGW")
    if named:
        return Path(named)
    built = FOLDER / "versitygw"
    if not built.exists():
        with _only_one():
            if not built.exists():
                _build(built)
    return built


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(target: Path) -> None:
    aside = FOLDER / "building"
    shutil.rmtree(aside, ignore_errors=True)
    words = ["install", "-trimpath", "-ldflags=-s -w", f"{MODULE}@{VERSION}"]
    try:
        go_programs.run(words, cwd=FOLDER, seconds=BUILD_SECONDS, GOBIN=str(aside))
    except go_programs.BuildFailedError as error:
        raise S3UnavailableError(f"it can not be built, and no RUNPLANE_TEST_VERSITYGW: {error}") from error
    (aside / "versitygw").rename(target)


def obstore_config(server: S3Server, bucket: str, **more: object) -> dict[str, object]:
    """What stands under ``config`` of a ``dagster_obstore`` S3ComputeLogManager, for this gateway."""
    return {
        "bucket": bucket,
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
        "endpoint": server.endpoint,
        "region": server.region,
        "allow_http": True,
        "upload_interval": 1,
        "timeout": "5s",
        **more,
    }
