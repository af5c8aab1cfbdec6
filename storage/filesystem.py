"""Which kind of file system a folder lies on, and whether a pod has it for itself."""

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


_EMPTY_DIR = "/volumes/kubernetes.io~empty-dir/"


def is_pods_own(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether what a process in a container writes below `folder` goes with its pod: the image's own file system, memory, an ``emptyDir``.

    Source: https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
    """
    best = ("", "", "overlay")
    target = str(folder.absolute())
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        root, point = (text.replace("\\040", " ") for text in before.split(" ")[3:5])
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, root, after.split(" ")[0])
    point, root, kind = best
    return point in ("", "/") or kind in ("tmpfs", "overlay") or _EMPTY_DIR in root
