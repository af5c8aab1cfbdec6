"""Pods whose container is a process of this machine: the real command line, in the environment that the pod gives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from .pods import FakePod

OURS = ("runplane", "dagster")
"""Names of the command in the image: here it is this Python's ``python -m runplane``."""


class ProcessPods:
    """Runs the main container's command and args.

    Args:
        environment: what an image would bring along, under the pod's own variables.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(environment or {})
        self._folder = Path(tempfile.mkdtemp(prefix="fake-cluster-"))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def add(self, environment: Mapping[str, str]) -> None:
        """More of what the image brings along, for pods from now on."""
        self._environment |= environment

    def start(self, pod: FakePod) -> None:
        """See ``PodProgram``."""
        container = pod.container
        command = [*(container.get("command") or ()), *(container.get("args") or ())]
        pod.scheduled()
        if command[:1] and command[0] in OURS:
            command[:1] = self.program_of(pod)
        env = {**os.environ, **self._environment, **self.environment_of(pod), "HOSTNAME": pod.name}
        output = self._folder / pod.uid
        try:
            with output.open("wb") as file:
                process = subprocess.Popen(
                    command, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
                )
        except OSError as error:
            pod.exited(128, "StartError", f'exec: "{command[0]}": {error.strerror}')
            return
        self._processes[pod.uid] = process
        pod.log(lambda: output.read_text(errors="replace"))
        pod.running()
        threading.Thread(target=self._wait, args=(pod, process), name=f"pod {pod.name}", daemon=True).start()

    def stop(self, pod: FakePod, grace_s: float) -> None:
        """See ``PodProgram``."""
        process = self._processes.get(pod.uid)
        if process is None or process.poll() is not None:
            pod.exited(143)
            return
        process.send_signal(signal.SIGTERM if grace_s > 0 else signal.SIGKILL)
        killer = threading.Timer(max(grace_s, 0.0), process.kill)
        killer.daemon = True
        killer.start()

    def environment_of(self, pod: FakePod) -> dict[str, str]:
        """What the pod's own process sees beside what the image brings."""
        return pod.environment()

    def program_of(self, pod: FakePod) -> list[str]:
        """What stands for the command of the pod's image."""
        return [sys.executable, "-m", "runplane"]

    def ended(self, pod: FakePod, code: int) -> None:
        """The process of a pod has ended: tell the cluster."""
        pod.exited(code)

    def processes(self) -> list[int]:
        """Process ids of the pods that run."""
        return [p.pid for p in self._processes.values() if p.poll() is None]

    def close(self) -> None:
        """End all that run."""
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    def _wait(self, pod: FakePod, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        self.ended(pod, 128 - code if code < 0 else code)
