"""The images that tests start containers from, built by ordinary Dockerfiles.

Only the base differs from machine to machine. Where Debian's `debootstrap` can run (Debian, root) it makes the base, so that
no image registry is needed; elsewhere Docker pulls the public one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from services import docker_daemon

ROOT = docker_daemon.ROOT
FOLDER = Path(__file__).resolve().parent
HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PUBLIC_DEBIAN = "debian:bookworm-slim"
PUBLIC_PYTHON = "python:3.12-slim"
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
LOCAL_BASE = "runplane-test-base:bookworm-1"


class BuildFailedError(Exception):
    """An image can not be built. The message ends with the last lines of the build."""


def bases() -> tuple[str, str]:
    """The image to build services on, and the one with a Python to build runplane's own image on."""
    if not makes_its_own_base():
        return PUBLIC_DEBIAN, PUBLIC_PYTHON
    if not exists(LOCAL_BASE):
        _debootstrap(LOCAL_BASE)
    return LOCAL_BASE, LOCAL_BASE


def services_image() -> str:
    """Postgres, pgBouncer and Redis of Debian, each with a small entrypoint: name of the image, built when it is not there."""
    sources = sorted(p for p in (FOLDER / "image").iterdir() if p.is_file())
    digest = hashlib.sha256(b"\0".join(p.read_bytes() for p in sources)).hexdigest()[:12]
    base, _ = bases()
    name = f"runplane-test-services:{digest}-{base.split(':')[0]}"
    if not exists(name):
        build(name, FOLDER / "image", base=base)
    return name


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Suites run side by side: the second one that builds an image finds its layers made."""
    folder = ROOT / ".cache" / "services"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "image-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(name: str, context: Path, *, base: str, dockerfile: Path | None = None, **arguments: str) -> None:
    """``docker build`` of a folder. The host's network is used, since a registry may be reachable from there only.

    Raises:
        BuildFailedError: with the end of the build's output.
    """
    command = ["docker", "build", "--network", "host", "--tag", name, "--build-arg", f"BASE={base}"]
    for key, value in arguments.items():
        command += ["--build-arg", f"{key}={value}"]
    command += ["--file", str(dockerfile)] if dockerfile else []
    done = subprocess.run(
        [*command, str(context)], check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-40:])
        raise BuildFailedError(f"{' '.join(command)} exited with {done.returncode}; it ends with:\n{tail}")


def exists(name: str) -> bool:
    asked = subprocess.run(["docker", "image", "inspect", name], check=False, capture_output=True)
    return asked.returncode == 0


def size_of(name: str) -> int:
    """Bytes of all layers of an image."""
    asked = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Size}}", name], check=True, capture_output=True, text=True
    )
    return int(asked.stdout)


def makes_its_own_base() -> bool:
    """Is this a machine where no image registry is asked for anything?"""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _debootstrap(name: str) -> None:
    if shutil.which("debootstrap") is None:
        docker_daemon.install("debootstrap")
    tree = ROOT / ".cache" / "services" / "base"
    shutil.rmtree(tree, ignore_errors=True)
    tree.parent.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", "bookworm", str(tree)],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if made.returncode:
        raise BuildFailedError(f"debootstrap exited with {made.returncode}; it ends with:\n{made.stdout[-2000:]}")
    _trust_what_the_host_trusts(tree)
    change = ["--change", f"ENV PIP_CERT={HOST_CERTIFICATES}"] if HOST_CERTIFICATES.exists() else []
    packed = subprocess.Popen(["tar", "--directory", str(tree), "--create", "."], stdout=subprocess.PIPE)
    subprocess.run(["docker", "import", *change, "-", name], check=True, stdin=packed.stdout, capture_output=True)
    if packed.wait():
        raise BuildFailedError(f"tar of {tree} exited with {packed.returncode}")
    shutil.rmtree(tree)


def _trust_what_the_host_trusts(tree: Path) -> None:
    """Packages may be served through a mirror whose certificate only the host knows."""
    if HOST_CERTIFICATES.exists():
        shutil.copyfile(HOST_CERTIFICATES, tree / HOST_CERTIFICATES.relative_to("/"))
