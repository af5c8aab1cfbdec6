"""What goes with a pod, by the mount table of its container."""

from pathlib import Path

import pytest

from runplane.storage.filesystem import is_pods_own

MOUNTS = """\
800 700 0:60 / / ro,relatime master:200 - overlay overlay rw,lowerdir=/var/lib
801 800 8:1 /var/lib/kubelet/pods/5f/volumes/kubernetes.io~empty-dir/scratch /scratch rw,relatime - ext4 /dev/sda1 rw
802 800 0:70 / /memory rw - tmpfs tmpfs rw,size=64000k
803 800 0:71 /team/data /home/dagster/storage rw,relatime - nfs4 nas:/export rw
804 800 8:1 /srv/shared /with\\040space rw,relatime - ext4 /dev/sda1 rw
"""


@pytest.mark.parametrize(
    ("folder", "own"),
    [
        ("/opt/dagster/storage", True),
        ("/scratch/storage", True),
        ("/memory", True),
        ("/home/dagster/storage", False),
        ("/home/dagster/storage/run/logs", False),
        ("/home/dagster/storage2", True),
        ("/with space/logs", False),
    ],
)
def test_what_goes_with_a_pod(folder: str, own: bool, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)

    assert is_pods_own(Path(folder), mounts) is own
