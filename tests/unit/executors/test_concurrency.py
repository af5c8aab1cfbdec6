"""How many steps at a time: affinity, control groups of both versions, config and environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runplane.errors import ConfigErrors
from runplane.executors.cgroup import Cgroups
from runplane.executors.concurrency import MAX_CONCURRENT_ENV, available_cpus, max_concurrent_of

linux = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="control groups are Linux's")


def tree(root: Path, lines: str, files: dict[str, str]) -> Cgroups:
    """A machine with these groups: ``/proc/self/cgroup`` says `lines`, the tree holds `files`."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(lines)
    (root / "tree").mkdir()
    for name, text in files.items():
        path = root / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Cgroups(root / "tree", root / "proc")


@pytest.mark.parametrize(
    ("lines", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "150000 100000\n"}, 1.5),
        (
            "4:cpu,cpuacct:/pod\n",
            {"cpu,cpuacct/pod/cpu.cfs_quota_us": "250000", "cpu,cpuacct/pod/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        ("4:cpu:/pod\n", {"cpu/pod/cpu.cfs_quota_us": "-1", "cpu/pod/cpu.cfs_period_us": "100000"}, None),
        # In a container: the path is the host's, the mount begins at the container's own group.
        ("4:cpu:/kubepods/pod1/c1\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1.0),
        ("0::/../../x\n", {"cpu.max": "100000 100000\n"}, 1.0),
        # Mixed: v1 controllers beside an empty unified tree.
        (
            "1:cpu:/\n0::/\n",
            {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000", "unified/x": ""},
            4.0,
        ),
        ("", {}, None),
    ],
)
def test_the_quota_is_read_from_both_versions(
    tmp_path: Path, lines: str, files: dict[str, str], quota: float | None
) -> None:
    assert tree(tmp_path, lines, files).cpu_quota() == quota


@pytest.mark.parametrize(
    ("lines", "files", "vmstat", "kills"),
    [
        ("0::/a\n", {"a/memory.events": "low 0\noom 4\noom_kill 3\n"}, "oom_kill 9\n", 3),
        (
            "6:memory:/a\n",
            {"memory/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"},
            "oom_kill 9\n",
            2,
        ),
        ("0::/\n", {}, "nr_free_pages 7\noom_kill 9\n", 9),
        ("0::/\n", {}, "", None),
    ],
)
def test_kills_for_memory_are_counted(
    tmp_path: Path, lines: str, files: dict[str, str], vmstat: str, kills: int | None
) -> None:
    cgroups = tree(tmp_path, lines, files)
    (tmp_path / "proc" / "vmstat").write_text(vmstat)

    assert cgroups.oom_kills() == kills


@linux
def test_two_cpus_by_quota_on_a_machine_with_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    cgroups = tree(tmp_path, "0::/\n", {"cpu.max": "200000 100000\n"})

    assert available_cpus(cgroups) == 2


@linux
def test_the_affinity_counts_when_it_is_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    cgroups = tree(tmp_path, "0::/\n", {"cpu.max": "800000 100000\n"})

    assert available_cpus(cgroups) == 1


@linux
def test_a_part_of_a_cpu_is_rounded_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))

    assert available_cpus(tree(tmp_path, "0::/\n", {"cpu.max": "250000 100000\n"})) == 3


def test_config_beats_the_variable_and_the_variable_beats_the_machine(tmp_path: Path) -> None:
    cgroups = tree(tmp_path, "0::/\n", {"cpu.max": "100000 100000\n"})

    assert max_concurrent_of(7, {MAX_CONCURRENT_ENV: "5"}, cgroups) == 7
    assert max_concurrent_of(None, {MAX_CONCURRENT_ENV: "5"}, cgroups) == 5
    assert max_concurrent_of(0, {MAX_CONCURRENT_ENV: "5"}, cgroups) == 5
    assert max_concurrent_of(0, {}, cgroups) == 1


@pytest.mark.parametrize(
    ("configured", "env"), [(-1, {}), (None, {MAX_CONCURRENT_ENV: "many"}), (0, {MAX_CONCURRENT_ENV: "0"})]
)
def test_a_setting_that_can_not_be_used_is_named(configured: int | None, env: dict[str, str]) -> None:
    with pytest.raises(ConfigErrors, match=r"max_concurrent|MAX_CONCURRENT"):
        max_concurrent_of(configured, env)
