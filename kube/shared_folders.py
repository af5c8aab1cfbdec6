"""Whether pods of a Job find what other pods left in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

_OWN = frozenset({"emptyDir", "ephemeral", "configMap", "secret", "downwardAPI", "projected", "image"})
"""Kinds of volumes that a pod has for itself, or that nobody can write to."""


def unshared(manifest: Mapping[str, Any], folders: Mapping[str, str], storage: str) -> list[str]:
    """A warning for each IO manager whose files other pods will not find.

    Args:
        manifest: a Job.
        folders: resource key -> folder; empty for `storage`.
        storage: the instance's storage folder in the container.
    """
    return [
        f"the IO manager '{key}' keeps outputs in {folder or storage}, where no volume is mounted that pods share: other pods will not find"
        " them. Mount one there, or keep outputs in S3 (FilesystemIOManager(base_dir='s3://bucket/folder'))."
        for key, folder in folders.items()
        if not shares(manifest, folder or storage)
    ]


def shares(manifest: Mapping[str, Any], folder: str) -> bool:
    """Whether the folder, or one above it, is on a volume that outlives the pod and can be written to.

    Args:
        manifest: a Job.
        folder: an absolute path in its worker's container.
    """
    spec = manifest["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec.get("volumes") or ()}
    places = {folder, *map(str, PurePosixPath(folder).parents)}
    above = [m for m in spec["containers"][0].get("volumeMounts") or () if str(PurePosixPath(m["mountPath"])) in places]
    if not above:
        return False
    nearest = max(above, key=lambda mount: len(str(PurePosixPath(mount["mountPath"]))))
    kinds = set(volumes.get(nearest["name"], {"emptyDir": {}})) - {"name"}
    return not nearest.get("readOnly") and bool(kinds) and not kinds & _OWN
