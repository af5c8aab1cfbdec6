"""A Kubernetes cluster, as tests see it, whoever runs it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cluster.forward import Forward
from cluster.sandbox import Sandbox, wait_for

RECOVERY_SECONDS = 150
"""After etcd was killed, who watches the API server asks it again after half a minute, or after a whole one, or two."""
COMPLETE_SECONDS = 100
"""For a Job whose pod pulls an image and ends at once, beside the other suites."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


class Cluster:
    """What tests ask of a cluster.

    Args:
        kubeconfig: of an administrator.
        kubectl: the program.
        host: this machine, as pods see it.
        load: gives the cluster an image of the Docker daemon.
        publish: gives it such an image under a name of any registry, so that it can be pulled; none where that is not possible.
        node: for tests that stop its servers; none where it is not ours.
    """

    def __init__(
        self,
        kubeconfig: Path,
        kubectl: str,
        host: str,
        *,
        load: Callable[[str], None],
        publish: Callable[[str, str], None] | None = None,
        node: Sandbox | None = None,
    ) -> None:
        self.kubeconfig = kubeconfig
        self.host = host
        self.load = load
        self.publish = publish
        self.node = node
        self._kubectl = kubectl
        self._forwards: dict[int, Forward] = {}

    def kubectl(self, *words: str, stdin: str | None = None, timeout_s: float = 60) -> str:
        """Call kubectl; what it prints.

        Raises:
            AssertionError: it failed.
        """
        done = subprocess.run(
            self.kubectl_command(*words),
            check=False,
            capture_output=True,
            text=True,
            input=stdin or "",
            timeout=timeout_s,
            env={**os.environ, "HOME": tempfile.gettempdir()},  # where it keeps what it has learnt about the API
        )
        assert done.returncode == 0, f"kubectl {' '.join(words)} exited with {done.returncode}: {done.stderr}"
        return done.stdout

    def kubectl_command(self, *words: str) -> list[str]:
        """The command line of kubectl, for what goes on while a test does."""
        return [self._kubectl, f"--kubeconfig={self.kubeconfig}", *words]

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Create or change objects."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def get(self, *words: str) -> Any:
        """An object, or the items of a list."""
        answer = json.loads(self.kubectl("get", "-o", "json", *words))
        return answer["items"] if answer["kind"].endswith("List") else answer

    def make_namespace(self, labels: Mapping[str, str] | None = None) -> str:
        """A fresh namespace, which takes pods of the level ``restricted`` only unless labels say else: its name."""
        name = f"t-{secrets.token_hex(4)}"
        metadata = {"name": name, "labels": dict(RESTRICTED if labels is None else labels)}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        account = ("get", "serviceaccount", "default", "-n", name, "--ignore-not-found")
        wait_for(f"the service account of {name}", lambda: self.kubectl(*account), RECOVERY_SECONDS)
        return name

    def drop_namespace(self, name: str) -> None:
        """Delete it with all that it holds. The cluster does so by and by."""
        self.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")

    def reachable(self, port: int) -> int:
        """Make a port of this machine's loopback reachable for pods, at `host`: the port there."""
        if port not in self._forwards:
            self._forwards[port] = Forward(self.host, port)
        return self._forwards[port].port

    def name_service(self, namespace: str, name: str, port: int, target: int) -> None:
        """Give a server at this machine's loopback a name and a port in the cluster: pods that start afterwards reach it.

        Where the node is not ours to ask, they may have to try again for a second.
        """
        metadata = {"name": name, "namespace": namespace}
        service = {"ports": [{"name": "main", "port": port, "targetPort": self.reachable(target)}]}
        slice_of_it = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "main", "port": self.reachable(target)}],
            "endpoints": [{"addresses": [self.host]}],
        }
        self.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service}, slice_of_it)
        if self.node is not None:
            address = self.get("service", name, "-n", namespace)["spec"]["clusterIP"]
            wait_for(f"the service {name} at work", partial(self.node.connects, address, port), RECOVERY_SECONDS)
            wait_for(f"the name {name} at work", partial(self.node.names, f"{name}.{namespace}"), RECOVERY_SECONDS)

    def wait_for_jobs(self, namespace: str, *jobs: str) -> None:
        """Wait until Jobs are complete, all of the namespace unless some are named.

        Raises:
            AssertionError: one is not; the message tells what became of their pods.
        """
        named = [f"job/{job}" for job in jobs] or ["job", "--all"]
        wait = ("wait", "-n", namespace, "--for=condition=complete", *named, f"--timeout={COMPLETE_SECONDS}s")
        try:
            self.kubectl(*wait, timeout_s=COMPLETE_SECONDS + 10)
        except AssertionError as error:
            seen = self.kubectl("get", "-n", namespace, "jobs,pods,events,services,endpointslices", "-o", "wide")
            said = self.kubectl(
                "logs", "-n", namespace, "--all-containers", "--prefix", "-l", "job-name", "--ignore-errors"
            )
            raise AssertionError(f"{error}\n{seen}\n{said}") from error

    def close(self) -> None:
        """End what was started for this object, not the cluster."""
        for forward in self._forwards.values():
            forward.close()
