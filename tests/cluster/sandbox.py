"""The namespaces that the node lives in: processes, mounts and network of its own.

So nothing that Kubernetes, containerd or a pod does is this machine's: packet filter, interfaces, routes, ports, mounts and kernel
settings end with the first process in there, and a kill of that one process ends every other. What is left to do by hand are control
groups and one interface.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from cluster import dns
from cluster.programs import ELSE, ClusterUnavailableError
from cluster.settings import Settings

HIERARCHIES = Path("/sys/fs/cgroup")
# What kubelet sets on a machine of its own. In here it sets files that only look like these.
TUNABLES = (
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)  # fmt: skip
# The usual places, empty in there. Below /run are sockets, whose paths may not be long.
EMPTY = ("/run", "/var/lib", "/var/log")
ON_DISK = {
    "containerd": "/var/lib/containerd",
    "kubelet": "/var/lib/kubelet",
    "cni": "/var/lib/cni",
    "pods": "/var/log/pods",
    "containers": "/var/log/containers",
}
END_SECONDS = 30
NOTE = "sandbox.json"


class Sandbox:
    """The namespaces of one node, from their first process on.

    Args:
        first: the process id of the first process in there, as this machine counts.
    """

    def __init__(self, settings: Settings, first: int) -> None:
        self._settings = settings
        self.first = first
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def start(cls, settings: Settings, pause: Path) -> Sandbox:
        """Make the namespaces. Their first process does nothing but wait and bury the dead.

        Raises:
            ClusterUnavailableError: this machine does not allow it.
        """
        log = settings.logs / "sandbox"
        command = ["unshare", "--mount", "--propagation", "private", "--net", "--pid", "--ipc", "--uts", "--fork"]
        with log.open("wb") as output:
            outside = subprocess.Popen(
                [*command, "--mount-proc", str(pause)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
        wait_for("the sandbox", lambda: outside.poll() is not None or _runs(children, pause), 20)
        if outside.poll() is not None:
            raise ClusterUnavailableError(
                f"this machine makes no namespaces for the node: {log.read_text(errors='replace').strip()}; in a container, start that "
                f"one with --privileged, {ELSE}"
            )
        made = cls(settings, int(children.read_text().split()[0]))
        made._started["the sandbox"] = outside
        noted = {"first": made.first, "program": str(pause), "folder": str(settings.folder)}
        settings.run.joinpath(NOTE).write_text(json.dumps(noted))
        made._furnish()
        return made

    @classmethod
    def running(cls, settings: Settings) -> Sandbox | None:
        """The one that lives on this machine."""
        noted = read_note(settings)
        try:
            command = Path(f"/proc/{noted['first']}/cmdline").read_text().split("\0")
        except (OSError, KeyError):
            return None
        return cls(settings, int(noted["first"])) if noted["program"] in command else None

    # Programs in there -----------------------------------------------------------------------------------------------------------

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command in there."""
        return ["nsenter", f"--target={self.first}", "--mount", "--net", "--pid", "--ipc", "--uts", "--", *command]

    def run(self, *command: str, stdin: IO[bytes] | None = None) -> str:
        """Run a program in there; what it prints.

        Raises:
            RuntimeError: it failed.
        """
        words = self.inside(command)
        done = subprocess.run(words, check=False, stdin=stdin or subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            said = (done.stderr + done.stdout).decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(command)} exited with {done.returncode} in the node: {said}")
        return done.stdout.decode()

    def connects(self, address: str, port: int) -> bool:
        """Whether something in there, or behind an address of its, takes connections."""
        ask = f"import socket; socket.create_connection(({address!r}, {port}), 1)"
        command = self.inside([sys.executable, "-S", "-c", ask])
        return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0

    def names(self, service: str) -> bool:
        """Whether the cluster's DNS has an address for a service, `NAME.NAMESPACE`."""
        return dns.knows(self._settings.node_address, f"{service}.svc.cluster.local")

    def spawn(self, name: str, command: Sequence[str]) -> None:
        """Start a server in there, with its output in a log of that name."""
        with (self._settings.logs / name).open("ab") as log:
            self._started[name] = subprocess.Popen(
                self.inside(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def has_ended(self, name: str) -> bool:
        """Whether a server that was started by this object lives no more."""
        return self._started[name].poll() is not None

    def pid_of(self, name: str) -> int | None:
        """The server of that name, as this machine counts its processes."""
        for pid in self._members():
            with contextlib.suppress(OSError):
                if Path(Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]).name == name:
                    return pid
        return None

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """A server that neither answers nor ends, as long as this lasts."""
        pid = self.pid_of(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _has_ended(self, name: str) -> bool:
        return self.pid_of(name) is None

    @contextlib.contextmanager
    def killed(self, *names: str) -> Iterator[None]:
        """Servers that are not there, as long as this lasts: SIGKILL, and the same command lines again, in this order."""
        lines: dict[str, list[str]] = {}
        logs: dict[str, str] = {}
        for name in names:
            pid = self.pid_of(name)
            assert pid is not None, f"{name} does not run"
            lines[name] = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
            logs[name] = os.readlink(f"/proc/{pid}/fd/1")  # another clone may have started it
            os.kill(pid, signal.SIGKILL)
        for name in names:
            wait_for(f"the end of {name}", partial(self._has_ended, name), 20)
        try:
            yield
        finally:
            for name, line in lines.items():
                with Path(logs[name]).open("ab") as log:
                    # By a process of nobody's: the node outlives this session.
                    words = ["setsid", "--fork", *self.inside(line)]
                    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill_container(self, container: str) -> None:
        """End a pod's container by SIGKILL, behind the cluster's back."""
        self.run("ctr", "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", container)

    def freeze_container(self, container: str) -> None:
        """Have the first process of a pod's container do nothing any more, not even end when it is told to."""
        tasks = self.run("ctr", "--namespace", "k8s.io", "tasks", "list").splitlines()
        (pid,) = (line.split()[1] for line in tasks if line.startswith(container))
        self.run("sh", "-c", f"kill -STOP {pid}")

    # The end ---------------------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Kill what lives in there and wait until nothing does."""
        members = self._members()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.first, signal.SIGKILL)
        # A server's parent out here stopped with it when it was frozen.
        for pid in self._parents():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        wait_for("the end of the node's processes", lambda: not any(map(_alive, members)), END_SECONDS)
        wait_for("the end of their parents", lambda: not any(map(_alive, self._parents())), END_SECONDS)
        for started in self._started.values():
            started.wait(END_SECONDS)

    def _parents(self) -> list[int]:
        """The processes out here that started servers in there."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
                if words[:2] == [b"nsenter", f"--target={self.first}".encode()]:
                    found.append(int(entry.name))
        return found

    def _members(self) -> list[int]:
        try:
            mine = os.readlink(f"/proc/{self.first}/ns/pid")
        except OSError:
            return []
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and os.readlink(entry / "ns" / "pid") == mine:
                    found.append(int(entry.name))
        return found

    # Mounts and network ----------------------------------------------------------------------------------------------------------

    def _furnish(self) -> None:
        commands = ["set -eu", "mount --make-rshared /"]
        commands += [f"mount -t tmpfs -o mode=755 tmpfs {place}" for place in EMPTY]
        for name, place in ON_DISK.items():
            kept = self._settings.folder / name
            kept.mkdir(parents=True)
            commands += [f"mkdir -p {place}", f"mount --bind {kept} {place}"]
        for tunable in TUNABLES:
            stand_in = self._settings.folder / "tunables" / tunable
            stand_in.parent.mkdir(parents=True, exist_ok=True)
            stand_in.write_text(Path("/proc/sys", tunable).read_text())
            commands.append(f"mount --bind {stand_in} /proc/sys/{tunable}")
        commands += ["ip link set lo up", "sysctl -qw net.ipv4.ip_forward=1", f"hostname {self._settings.name}"]
        self.run("sh", "-c", "\n".join(commands))
        self._connect()

    def _connect(self) -> None:
        name, inner = self._settings.interface, "eth0"
        outer = [
            ["ip", "link", "add", name, "type", "veth", "peer", "name", inner, "netns", str(self.first)],
            ["ip", "address", "add", f"{self._settings.host_address}/30", "dev", name],
            ["ip", "link", "set", name, "up"],
        ]
        for command in outer:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                raise ClusterUnavailableError(f"{' '.join(command)} exited with {done.returncode}: {done.stderr}")
        self.run("ip", "address", "add", f"{self._settings.node_address}/30", "dev", inner)
        self.run("ip", "link", "set", inner, "up")
        self.run("ip", "route", "add", "default", "via", self._settings.host_address)


def read_note(settings: Settings) -> dict[str, str]:
    """What whoever started the last node wrote down: its first process, that one's program, and the folder. Empty when there is none."""
    try:
        noted: dict[str, str] = json.loads((settings.run / NOTE).read_text())
    except (OSError, ValueError):
        return {}
    return noted


def clean_up(settings: Settings) -> None:
    """Remove what does not end with the processes: the interface (its end in there is gone), control groups, files."""
    if Path("/sys/class/net", settings.interface).exists():
        subprocess.run(["ip", "link", "delete", settings.interface], check=False, capture_output=True)
    for hierarchy in cgroup_hierarchies():
        wait_for("empty control groups", partial(_remove_cgroups, hierarchy / settings.cgroup), END_SECONDS)
    for folder in {
        str(settings.folder),
        read_note(settings).get("folder", str(settings.folder)),
    }:  # another clone may have started it
        shutil.rmtree(folder, ignore_errors=True)
    for name in (NOTE, "kubeconfig", "ready"):
        settings.run.joinpath(name).unlink(missing_ok=True)


def make_cgroups(settings: Settings, hierarchies: Sequence[Path]) -> None:
    """The group that all pods are below, in every hierarchy.

    Raises:
        ClusterUnavailableError: control groups can not be made here.
    """
    if not hierarchies:
        raise ClusterUnavailableError(
            f"kubelet needs control groups, and none are mounted below {HIERARCHIES}: mount -t cgroup2 none {HIERARCHIES} "
            f"(in a container, start that one with --privileged), {ELSE}"
        )
    try:
        for hierarchy in hierarchies:
            (hierarchy / settings.cgroup).mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):  # of version 1: an empty set takes no process
                if (hierarchy / name).exists() and (hierarchy / "cpuset.cpu_exclusive").exists():
                    (hierarchy / settings.cgroup / name).write_text((hierarchy / name).read_text())
    except OSError as error:
        raise ClusterUnavailableError(
            f"kubelet needs control groups, and none can be made in {hierarchy}: {error}; mount it for writing (in a container, start "
            f"that one with --privileged), {ELSE}"
        ) from error


def cgroup_hierarchies(mounts: Path = Path("/proc/mounts")) -> list[Path]:
    """The one of version 2, or each of version 1."""
    lines = [line.split() for line in mounts.read_text().splitlines()]
    return [Path(m[1]) for m in lines if m[2] in ("cgroup", "cgroup2") and Path(m[1]).is_relative_to(HIERARCHIES)]


def wait_for(what: str, is_there: Callable[[], object], seconds: float) -> None:
    """Wait for a named moment.

    Raises:
        ClusterUnavailableError: it did not come.
    """
    end = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > end:
            raise ClusterUnavailableError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def _runs(children: Path, program: Path) -> bool:
    """Whether the child has become that program; before, its namespaces may not be whole."""
    try:
        child = children.read_text().split()[0]
        return str(program) in Path(f"/proc/{child}/cmdline").read_text()
    except (OSError, IndexError):
        return False


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _remove_cgroups(top: Path) -> bool:
    """Remove a group and all below it; whether that is done."""
    if not top.exists():
        return True
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not top.exists()
