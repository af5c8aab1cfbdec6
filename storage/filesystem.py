"""Which kind of file system a folder lies on."""

from __future__ import annotations

from pathlib import Path

NETWORK = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "9p",
        "ceph",
        "glusterfs",
        "fuse.glusterfs",
        "lustre",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.gcsfuse",
        "beegfs",
        "ocfs2",
        "gpfs",
        "efs",
        "fuse.juicefs",
        "ncpfs",
        "fuse.ceph",
    }
)


def network_file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """The type of the network file system that `folder` lies on, or None for a local one.

    Where there is no mount table (macOS) nothing is known and None is returned.
    """
    if not mounts.exists():
        return None
    best = ("", "")
    target = str(folder.resolve())
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(" ")
        point = fields[1].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, fields[2])
    return best[1] if best[1] in NETWORK else None
