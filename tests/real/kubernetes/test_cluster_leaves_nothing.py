"""The node's namespaces end with their first process, and nothing of them stays on this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from cluster import lifecycle, programs, sandbox
from cluster.clusters import Cluster
from cluster.sandbox import Sandbox
from cluster.settings import Settings
from services.fixtures import not_to_be_had


def test_a_sandbox_that_is_killed_leaves_no_process_mount_interface_or_control_group(
    real_cluster: Cluster, tmp_path: Path
) -> None:
    if real_cluster.node is None:
        not_to_be_had("the cluster is not a node of ours")
    settings = Settings(
        tmp_path / "node", tmp_path / "run", "runplane-second", "10.243.0.5", "10.243.0.6", cgroup="runplane-second"
    )
    settings.run.mkdir()
    settings.logs.mkdir(parents=True)
    sandbox.make_cgroups(settings, sandbox.cgroup_hierarchies())
    made = Sandbox.start(settings, programs.folder() / "pause")
    made.spawn("sleep", ["sleep", "600"])
    sandbox.wait_for("a process in there", lambda: made.pid_of("sleep"), 20)
    sleeping = made.pid_of("sleep")
    with made.frozen("sleep"):
        parents = made._parents()

    os.kill(made.first, signal.SIGKILL)
    sandbox.wait_for("the end of all", lambda: Sandbox.running(settings) is None, 20)
    made.end()
    sandbox.clean_up(settings)

    assert parents
    assert not [pid for pid in [sleeping, *parents] if Path(f"/proc/{pid}").exists()]
    assert not Path("/sys/class/net", settings.interface).exists()
    assert not [h for h in sandbox.cgroup_hierarchies() if (h / settings.cgroup).exists()]
    assert str(settings.folder) not in Path("/proc/mounts").read_text()
    assert not settings.folder.exists()


def test_a_node_that_a_session_uses_is_not_taken_away(real_cluster: Cluster) -> None:
    if real_cluster.node is None:
        not_to_be_had("the cluster is not a node of ours")
    settings = Settings.from_environment()

    assert not lifecycle.down(settings, only_if_unused=True)

    assert lifecycle.is_up(settings)


def test_a_node_that_is_up_is_not_started_again(real_cluster: Cluster) -> None:
    if real_cluster.node is None:
        not_to_be_had("the cluster is not a node of ours")
    settings = Settings.from_environment()

    kubeconfig = lifecycle.up(settings, kept=False)

    running = Sandbox.running(settings)
    assert running is not None
    assert running.first == real_cluster.node.first
    assert kubeconfig == real_cluster.kubeconfig
