"""The node's programs: Kubernetes built from its Go module, the rest from Debian's packages.

All of Kubernetes is one program here (``node/main.go``), kept below ``.cache/`` under a name that says what it was built from. Whoever
needs it first builds it, others wait for that: ``make test`` starts the build beside the first suites.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cluster.settings import ROOT, VERSION
from services import docker_daemon, go_programs

SOURCES = Path(__file__).resolve().parent / "node"
NAMES = (
    "kubectl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "cluster-dns",
)  # fmt: skip
# For a few minutes of work: without debugging information and inlining the compiler has a third less to do. The standard library is
# compiled as always, so that other programs of the tests share it.
MODULES = (
    "github.com",
    "go.etcd.io",
    "go.opentelemetry.io",
    "golang.org",
    "google.golang.org",
    "k8s.io",
    "sigs.k8s.io",
)
FLAGS = (
    "-trimpath",
    "-buildvcs=false",
    *(f"-gcflags={modules}/...=-dwarf=false -l" for modules in MODULES),
    f"-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=v{VERSION}",
)
BUILD_SECONDS = 3000
DEBIAN = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "runc": "runc",
    "docker-registry": "docker-registry",
    "iptables": "iptables",
    "ip": "iproute2",
    "openssl": "openssl",
    "nsenter": "util-linux",
    "mount": "mount",
}
"""Program -> its package."""
CNI = Path("/usr/lib/cni")
CNI_PACKAGE = "containernetworking-plugins"


ELSE = "or name a cluster that runs by RUNPLANE_TEST_KUBECONFIG"
"""How each message ends: what always helps."""


class ClusterUnavailableError(Exception):
    """There is no cluster and none can be started here. The message says what is missing, what was found, and what to do."""


def folder() -> Path:
    """The folder with Kubernetes' programs: one that the environment names, or what was built, or is built now.

    Raises:
        ClusterUnavailableError: they are not there and can not be built.
    """
    named = os.environ.get("RUNPLANE_TEST_CLUSTER_PROGRAMS")
    if named:
        return _named(Path(named))
    sources = sorted(p for p in SOURCES.rglob("*") if p.is_file())
    made_from = [*(p.read_bytes() for p in sources), " ".join(FLAGS).encode()]
    digest = hashlib.sha256(b"\0".join(made_from)).hexdigest()[:12]
    place = ROOT / ".cache" / "cluster" / "programs" / f"{VERSION}-{digest}"
    with _only_one(place.parent):
        if not (place / "ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            _build(place)
            for name in NAMES:
                (place / name).symlink_to("kubernetes")
            (place / "ready").touch()
    return place


def _named(place: Path) -> Path:
    missing = [name for name in NAMES if not (place / name).exists()]
    if missing:
        raise ClusterUnavailableError(
            f"RUNPLANE_TEST_CLUSTER_PROGRAMS names {place}, where {', '.join(missing)} should be and {'is' if len(missing) == 1 else 'are'} "
            "not: unset it, and the programs are built (10 minutes of CPU time)"
        )
    return place


def install_packages() -> None:
    """Install what the node needs of Debian.

    Raises:
        ClusterUnavailableError: something is missing and can not be installed.
    """
    missing = [package for program, package in DEBIAN.items() if _find(program) is None]
    missing += [] if (CNI / "ptp").exists() else [CNI_PACKAGE]
    if not missing:
        return
    try:
        docker_daemon.install(*missing)
    except docker_daemon.DockerUnavailableError as error:
        raise ClusterUnavailableError(f"{error}; install them, {ELSE}") from error


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@contextlib.contextmanager
def _only_one(place: Path) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(place: Path) -> None:
    try:
        for target in (".", "./pause"):
            go_programs.run(["build", *FLAGS, "-o", f"{place}/", target], cwd=SOURCES, seconds=BUILD_SECONDS)
    except go_programs.BuildFailedError as error:
        raise ClusterUnavailableError(
            f"Kubernetes can not be built: {error}; or name a folder with its programs by RUNPLANE_TEST_CLUSTER_PROGRAMS, {ELSE}"
        ) from error
