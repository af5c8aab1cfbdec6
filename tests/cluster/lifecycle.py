"""The node as a whole: up, down, and who uses it. One per machine, whichever clone started it.

Who uses the node holds a shared lock, which ends with the process. A node that a test session started is taken down by the last session
that used it; one that a person started stays until the person takes it down.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from cluster import certificates, components, images, programs, sandbox
from cluster.programs import ClusterUnavailableError
from cluster.sandbox import Sandbox, wait_for
from cluster.settings import Settings

START_SECONDS = 120
READY = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'


def up(settings: Settings, *, kept: bool) -> Path:
    """Start the node unless it runs; its kubeconfig.

    Args:
        kept: it stays until it is taken down by hand.

    Raises:
        ClusterUnavailableError: it can not run here; the message says why. Nothing is left of the try.
    """
    must_be_root(os.geteuid())
    with _lock(settings):
        if not is_up(settings):
            _down(settings)
            settings.run.joinpath("kept").unlink(missing_ok=True)
            programs.install_packages()
            try:
                _start(settings, programs.folder())
            except (ClusterUnavailableError, RuntimeError) as error:
                said = _ends_of_logs(settings)
                _down(settings)
                raise ClusterUnavailableError(f"{error}\n{said}") from error
        if kept:
            settings.run.joinpath("kept").touch()
    return settings.kubeconfig


def must_be_root(uid: int) -> None:
    """
    Raises:
        ClusterUnavailableError: this user can start no node.
    """
    if uid != 0:
        raise ClusterUnavailableError(
            f"only root can start a Kubernetes node, and this is the user with the id {uid}: call it as root (sudo), {programs.ELSE}"
        )


def down(settings: Settings, *, only_if_unused: bool = False) -> bool:
    """Take the node down, with all that runs on it; whether it is.

    Args:
        only_if_unused: leave a node that somebody uses, or that a person keeps.
    """
    if not settings.run.exists() or os.geteuid() != 0:
        return True  # none was ever started, or it is not this user's
    with _lock(settings), _users(settings).open("w") as users:
        if only_if_unused:
            if settings.run.joinpath("kept").exists():
                return False
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        _down(settings)
        settings.run.joinpath("kept").unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def used(settings: Settings) -> Iterator[None]:
    """As long as this lasts, nobody's session takes the node away."""
    settings.run.mkdir(mode=0o700, exist_ok=True)
    with _users(settings).open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield


def is_up(settings: Settings) -> bool:
    """Whether a node was started whole and answers."""
    if Sandbox.running(settings) is None or not settings.run.joinpath("ready").exists():
        return False
    return kubectl_says(settings, "get", "--raw", "/readyz") == "ok"


def kubectl_says(settings: Settings, *words: str) -> str | None:
    """What kubectl prints, or none when it fails."""
    command = [
        str(programs.folder() / "kubectl"),
        f"--kubeconfig={settings.kubeconfig}",
        "--request-timeout=5s",
        *words,
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.stdout if done.returncode == 0 else None


def _start(settings: Settings, built: Path) -> None:
    settings.logs.mkdir(parents=True)
    sandbox.make_cgroups(settings, sandbox.cgroup_hierarchies())
    node = Sandbox.start(settings, built / "pause")
    certificates.make(settings)
    components.write_files(settings)
    later = components.commands(settings, built)
    for name in ("etcd", "docker-registry", "containerd", "kube-apiserver"):
        node.spawn(name, later.pop(name))
    _wait_for(node, "containerd", lambda: _answers(node, "ctr", "--address", components.CONTAINERD_SOCKET, "version"))
    images.load_pause(node, built / "pause")
    _wait_for(node, "kube-apiserver", lambda: kubectl_says(settings, "get", "--raw", "/readyz") == "ok")
    for name, command in later.items():
        node.spawn(name, command)
    _wait_for(
        node, "kubelet", lambda: "True" in (kubectl_says(settings, "get", "node", settings.name, "-o", READY) or "")
    )
    _wait_for(node, "kube-controller-manager", lambda: kubectl_says(settings, "get", "serviceaccount", "default"))
    settings.run.joinpath("ready").touch()


def _wait_for(node: Sandbox, server: str, is_there: Callable[[], object]) -> None:
    """Wait until a server does its work, and not longer than it lives."""

    def there_or_gone() -> object:
        there = is_there()
        if not there and node.has_ended(server):
            raise ClusterUnavailableError(f"{server} has ended")
        return there

    wait_for(f"{server} at work", there_or_gone, START_SECONDS)


def _answers(node: Sandbox, *command: str) -> bool:
    return subprocess.run(node.inside(command), check=False, capture_output=True).returncode == 0


def _down(settings: Settings) -> None:
    node = Sandbox.running(settings)
    if node is not None:
        node.end()
    sandbox.clean_up(settings)


def _ends_of_logs(settings: Settings) -> str:
    logs = sorted(settings.logs.glob("*")) if settings.logs.exists() else []
    said = ("\n".join([f"== {p.name}", *p.read_text(errors="replace").splitlines()[-8:]]) for p in logs)
    return "\n".join(said)


@contextlib.contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    settings.run.mkdir(mode=0o700, exist_ok=True)
    with (settings.run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _users(settings: Settings) -> Path:
    return settings.run / "users"
