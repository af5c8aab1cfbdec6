"""A Docker daemon for the tests: the one that answers, or one of our own.

Our own leaves no process, container or mount behind (the packet filter keeps Docker's chains, as after any dockerd). Its data is
in the clone's cache, its sockets are in a folder of `/run` whose name comes from the clone's path: the path of a Unix socket may
have 107 characters, and a clone's path alone may have more.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / ".cache" / "docker"
SOCKETS = Path("/run") / f"runplane-tests-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
HOST = f"unix://{SOCKETS}/docker.sock"
PACKAGES = ("docker.io", "iptables", "iproute2", "ca-certificates")
APT_LOCK = Path("/run/lock/runplane-tests-apt")
START_SECONDS = 60
STOP_SECONDS = 30


class DockerUnavailableError(Exception):
    """There is no Docker daemon and none can be started. The message says why."""


def answers(host: str | None) -> bool:
    """Does a daemon answer at this address (none: where the client looks by itself)?"""
    if shutil.which("docker") is None:
        return False
    environ = {**os.environ, "DOCKER_HOST": host} if host else dict(os.environ)
    try:
        asked = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            check=False,
            env=environ,
            capture_output=True,
            timeout=20,
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0 and bool(asked.stdout.strip())


def running() -> str | None:
    """The address of the daemon to use: empty for the client's own choice, ours, or none."""
    if answers(None):
        return ""
    return HOST if answers(HOST) else None


def up() -> str:
    """Find or start a daemon and return its address (empty: the client's own choice).

    Raises:
        DockerUnavailableError: no daemon answers, and this user on this machine can not start one.
    """
    found = running()
    if found is not None:
        return found
    if os.geteuid() != 0:
        raise DockerUnavailableError("no Docker daemon answers, and only root can start one")
    if shutil.which("dockerd") is None:
        install(*PACKAGES)
    _start()
    return HOST


def install(*packages: str) -> None:
    """Install Debian packages.

    Raises:
        DockerUnavailableError: this is no Debian, or apt-get refuses.
    """
    if shutil.which("apt-get") is None:
        raise DockerUnavailableError(
            f"{', '.join(packages)}: not there, and without apt-get not installed by the tests"
        )
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wanted = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    with APT_LOCK.open("w") as lock:  # services are made ready side by side, and apt-get does not wait for another
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (["apt-get", "update"], wanted):
            done = subprocess.run(command, check=False, env=environ, capture_output=True, text=True)
            if done.returncode:
                said = done.stderr[-2000:]
                raise DockerUnavailableError(f"{' '.join(command)} exited with {done.returncode}: {said}")


def _start() -> None:
    down()  # one that was killed, or no longer answers
    SOCKETS.mkdir(mode=0o700, exist_ok=True)
    DATA.mkdir(parents=True, exist_ok=True)
    log = DATA.parent / "dockerd.log"
    if not Path("/sys/class/net/docker0").exists():
        (SOCKETS / "made-bridge").touch()
    command = ["dockerd", "--host", HOST, "--data-root", str(DATA), "--exec-root", str(SOCKETS / "exec")]
    command += ["--pidfile", str(SOCKETS / "pid")]
    with log.open("w") as output:
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while not answers(HOST):
        if daemon.poll() is not None or time.monotonic() > deadline:
            daemon.kill()
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise DockerUnavailableError(f"dockerd does not come up; {log} ends with:\n{tail}")
        time.sleep(0.2)


def down() -> None:
    """Stop our own daemon, if there is one, with its containers, mounts and bridge. Its images are kept for the next time."""
    pid = _our_daemon()
    if pid is None:
        shutil.rmtree(SOCKETS, ignore_errors=True)
        return
    if answers(HOST):
        listed = _docker("ps", "--all", "--quiet").split()
        if listed:
            _docker("rm", "--force", "--volumes", *listed)
        _docker("network", "prune", "--force")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    _wait_until_gone(pid)
    for mount in _mounts_below(SOCKETS) + _mounts_below(DATA):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    if (SOCKETS / "made-bridge").exists() and shutil.which("ip"):
        subprocess.run(["ip", "link", "delete", "docker0"], check=False, capture_output=True)
    shutil.rmtree(SOCKETS, ignore_errors=True)


def _our_daemon() -> int | None:
    """Its process id. A pid file alone proves nothing: after a kill the number may be somebody else's."""
    try:
        pid = int((SOCKETS / "pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid if str(SOCKETS) in command else None


def _docker(*arguments: str) -> str:
    environ = {**os.environ, "DOCKER_HOST": HOST}
    return subprocess.run(["docker", *arguments], check=True, env=environ, capture_output=True, text=True).stdout


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while _alive(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline += STOP_SECONDS
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _mounts_below(folder: Path) -> list[str]:
    """Mount points under a folder, the innermost first."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return sorted((m for m in mounts if m.startswith(f"{folder}/")), key=len, reverse=True)
