"""Where the tests' cluster comes from: one that the environment names, K3s in a container, or the node of this folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cluster import images, lifecycle, programs
from cluster.clusters import Cluster
from cluster.programs import ClusterUnavailableError
from cluster.sandbox import Sandbox
from cluster.settings import ROOT, VERSION, Settings
from services import docker_daemon
from services import images as docker_images

K3S = f"rancher/k3s:v{VERSION}-k3s1"


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster, as long as this lasts.

    Raises:
        ClusterUnavailableError: none is to be had; the message says why.
    """
    given = os.environ.get("RUNPLANE_TEST_KUBECONFIG")
    if given:
        opened: contextlib.AbstractContextManager[Cluster] = _given(Path(given))
    elif _can_pull_k3s():
        opened = _k3s()
    else:
        opened = _node()
    with opened as made:
        try:
            yield made
        finally:
            made.close()


@contextlib.contextmanager
def _given(kubeconfig: Path) -> Iterator[Cluster]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise ClusterUnavailableError("RUNPLANE_TEST_KUBECONFIG is set, and there is no kubectl to call")
    ask = [
        kubectl,
        f"--kubeconfig={kubeconfig}",
        "config",
        "view",
        "--minify",
        "-o",
        "jsonpath={.clusters[0].cluster.server}",
    ]
    server = urlsplit(subprocess.run(ask, check=True, capture_output=True, text=True).stdout)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as towards:  # nothing is sent
        towards.connect((server.hostname or "localhost", server.port or 443))
        host: str = towards.getsockname()[0]

    def load(image: str) -> None:
        """Its nodes pull it, wherever from."""

    yield Cluster(kubeconfig, kubectl, host, load=load)


def _can_pull_k3s() -> bool:
    """Where images of a registry are used at all, and the other programs of a node need not be built."""
    if docker_images.makes_its_own_base() or docker_daemon.running() is None:
        return False
    return docker_images.exists(K3S) or subprocess.run(["docker", "pull", "-q", K3S], check=False).returncode == 0


@contextlib.contextmanager
def _k3s() -> Iterator[Cluster]:
    from testcontainers.community.k3s import K3SContainer

    kubectl = shutil.which("kubectl") or str(programs.folder() / "kubectl")
    with K3SContainer(K3S) as container, tempfile.TemporaryDirectory(prefix="runplane-k3s-") as folder:
        kubeconfig = Path(folder, "kubeconfig")
        kubeconfig.write_text(container.config_yaml())
        docker = container.get_wrapped_container()
        networks = docker.attrs["NetworkSettings"]["Networks"]
        gateway: str = next(iter(networks.values()))["Gateway"]

        def load(image: str) -> None:
            with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving:
                take = ["docker", "exec", "-i", str(docker.id), "ctr", "-n", "k8s.io", "images", "import", "-"]
                subprocess.run(take, check=True, stdin=saving.stdout, capture_output=True)

        yield Cluster(kubeconfig, kubectl, gateway, load=load)


@contextlib.contextmanager
def _node() -> Iterator[Cluster]:
    settings = Settings.from_environment()
    if os.geteuid() != 0:
        raise ClusterUnavailableError(
            "no RUNPLANE_TEST_KUBECONFIG, no K3s from a registry, and only root can start a node"
        )
    try:
        with lifecycle.used(settings):
            _call("up")
            running = Sandbox.running(settings)
            if running is None:
                raise ClusterUnavailableError("the node ended as soon as it was up")
            yield Cluster(
                settings.kubeconfig,
                str(programs.folder() / "kubectl"),
                settings.host_address,
                load=lambda image: images.load_from_docker(running, image),
                publish=lambda image, name: images.publish(running, image, name),
                node=running,
            )
    finally:
        _call("down")


def _call(verb: str) -> None:
    """In a process of its own: the node's servers are nobody's children when that ends."""
    command = [sys.executable, "-m", "cluster", verb, "--for-session"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(command, check=False, cwd=tempfile.gettempdir(), env=environ, capture_output=True, text=True)
    if done.returncode:
        raise ClusterUnavailableError(done.stderr)
