"""Where the tests' cluster comes from: one that the environment names, K3s in a container, or the node of this folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from cluster import images, lifecycle, programs
from cluster.clusters import Cluster
from cluster.programs import ClusterUnavailableError
from cluster.sandbox import Sandbox
from cluster.settings import ROOT, VERSION, Settings
from services import docker_daemon
from services import images as docker_images

GIVEN = "RUNPLANE_TEST_KUBECONFIG"
K3S = f"rancher/k3s:v{VERSION}-k3s1"


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster, as long as this lasts.

    Raises:
        ClusterUnavailableError: none is to be had; the message says why.
    """
    with source(os.environ, _can_pull_k3s)() as made:
        try:
            yield made
        finally:
            made.close()


def source(
    environ: Mapping[str, str], can_pull_k3s: Callable[[], bool]
) -> Callable[[], contextlib.AbstractContextManager[Cluster]]:
    """What is taken: a cluster that the environment names, else K3s where its image can be had, else the node of this folder."""
    if environ.get(GIVEN):
        return partial(given, Path(environ[GIVEN]))
    return k3s if can_pull_k3s() else node


@contextlib.contextmanager
def given(kubeconfig: Path) -> Iterator[Cluster]:
    """A cluster that somebody else takes care of."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise ClusterUnavailableError(
            f"{GIVEN} is set, and there is no kubectl on PATH to call: install it, or unset {GIVEN}"
        )
    ask = [
        kubectl,
        f"--kubeconfig={kubeconfig}",
        "config",
        "view",
        "--minify",
        "-o",
        "jsonpath={.clusters[0].cluster.server}",
    ]
    asked = subprocess.run(ask, check=False, capture_output=True, text=True)
    if asked.returncode or not asked.stdout:
        said = asked.stderr.strip() or "no server is named in there"
        raise ClusterUnavailableError(
            f"{GIVEN} names {kubeconfig}, which kubectl can not use: {said}; correct it, or unset {GIVEN}"
        )
    server = urlsplit(asked.stdout)
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
def k3s() -> Iterator[Cluster]:
    """Kubernetes in one container of the Docker daemon."""
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
def node() -> Iterator[Cluster]:
    """The node that is built, for as long as a session uses it."""
    settings = Settings.from_environment()
    lifecycle.must_be_root(os.geteuid())
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
