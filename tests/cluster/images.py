"""Images for the node: the pause image made from its program, others from a Docker daemon or an archive."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import IO

from cluster.components import CONTAINERD_SOCKET, PAUSE_IMAGE, REGISTRY
from cluster.sandbox import Sandbox

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CTR = ("ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images")


def load_pause(sandbox: Sandbox, program: Path) -> None:
    """Make the image that holds each pod's namespaces: one program."""
    with tempfile.TemporaryFile() as archive:
        _one_program(archive, program, PAUSE_IMAGE)
        archive.seek(0)
        load(sandbox, archive)


def load(sandbox: Sandbox, archive: IO[bytes]) -> None:
    """Import an archive, as ``docker save`` makes it."""
    sandbox.run(*_CTR, "import", "-", stdin=archive)


def load_from_docker(sandbox: Sandbox, name: str) -> None:
    """Take an image from the Docker daemon that answers."""
    with subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as saving:
        assert saving.stdout is not None
        load(sandbox, saving.stdout)
    if saving.returncode:
        raise RuntimeError(f"docker save {name} exited with {saving.returncode}")


def publish(sandbox: Sandbox, name: str, known_as: str) -> None:
    """Put an image that was loaded into the registry, under the name by which pods ask for it."""
    registry, _, path = known_as.partition("/")
    if "." not in registry and ":" not in registry and registry != "localhost":
        path = known_as if "/" in known_as else f"library/{known_as}"
    target = f"{REGISTRY}/{path}"
    sandbox.run(*_CTR, "tag", "--force", _full(name), target)
    sandbox.run(*_CTR, "push", "--plain-http", target)


def _full(name: str) -> str:
    """A name as containerd keeps it."""
    first = name.partition("/")[0]
    if "/" in name and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if "/" in name else f"docker.io/library/{name}"


def _one_program(archive: IO[bytes], program: Path, name: str) -> None:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tree:
        tree.add(program, program.name, filter=_of_root)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps(
        {
            "architecture": ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    described = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": described, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]).encode()
    contents = {described: config, f"{digest}/layer.tar": layer.getvalue(), "manifest.json": manifest}
    with tarfile.open(fileobj=archive, mode="w") as whole:
        for path, data in contents.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            whole.addfile(member, io.BytesIO(data))


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755
    return member
