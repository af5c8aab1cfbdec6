"""Where the tests' node lives on this machine: folders, addresses, names. Each can be set by the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "RUNPLANE_TEST_CLUSTER_"
VERSION = "1.34.4"


@dataclass(frozen=True)
class Settings:
    """What one machine has one of. ``RUNPLANE_TEST_CLUSTER_<NAME>`` sets each.

    Attributes:
        folder: what the node keeps on disk while it runs: etcd's data, images, logs. The overlay file system must work on it.
        run: locks, the kubeconfig and what says that a node is up. The same for all clones, so that there is one node per machine.
        interface: this machine's end of the line to the node, 15 characters at most.
        host_address: this machine, as the node and its pods see it.
        node_address: the node: API server, cluster DNS.
        pod_network, service_network: ranges that exist inside of the node only.
        cgroup: the control group that all pods are in.
    """

    folder: Path = ROOT / ".cache" / "cluster" / "node"
    run: Path = Path("/run/runplane-cluster")
    interface: str = "runplane-node"
    host_address: str = "10.243.0.1"
    node_address: str = "10.243.0.2"
    pod_network: str = "10.244.0.0/16"
    service_network: str = "10.96.0.0/16"
    cgroup: str = "runplane-cluster"
    name: str = field(default="node-1")

    @classmethod
    def from_environment(cls) -> Settings:
        given = {
            f.name: os.environ[PREFIX + f.name.upper()] for f in fields(cls) if PREFIX + f.name.upper() in os.environ
        }
        paths = {name: Path(value) for name, value in given.items() if name in ("folder", "run")}
        return cls(**{**given, **paths})  # type: ignore[arg-type]  # the other fields are texts

    @property
    def kubeconfig(self) -> Path:
        return self.run / "kubeconfig"

    @property
    def api_url(self) -> str:
        return f"https://{self.node_address}:6443"

    @property
    def first_service_address(self) -> str:
        """The cluster IP of ``kubernetes.default``."""
        return self.service_network.rsplit(".", 1)[0] + ".1"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"
