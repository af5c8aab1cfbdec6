"""The tests' own Kubernetes: which cluster is taken, and what is said where there is none. No cluster is started here."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cluster import __main__ as command
from cluster import lifecycle, programs, sandbox, sources
from cluster.programs import ClusterUnavailableError
from cluster.settings import Settings
from services import go_programs

ELSE = "or name a cluster that runs by RUNPLANE_TEST_KUBECONFIG"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path / "node", run=tmp_path / "run", cgroup="runplane-none")


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """PATH with nothing in it but programs that print a line."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(go_programs, "USUAL", folder / "usual" / "go")
    monkeypatch.delenv("CI", raising=False)

    def add(name: str, prints: str = "", code: int = 0) -> Path:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{prints}'\nexit {code}\n")
        program.chmod(0o755)
        return program

    return add


# Which cluster is taken ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k3s", [True, False])
def test_a_cluster_that_the_environment_names_comes_first(k3s: bool) -> None:
    taken = sources.source({"RUNPLANE_TEST_KUBECONFIG": "/some/where"}, lambda: k3s)

    assert isinstance(taken, partial)
    assert (taken.func, taken.args) == (sources.given, (Path("/some/where"),))


def test_then_k3s_where_its_image_can_be_had() -> None:
    assert sources.source({}, lambda: True) is sources.k3s


@pytest.mark.parametrize("environ", [{}, {"RUNPLANE_TEST_KUBECONFIG": ""}])
def test_then_the_node_that_is_built(environ: dict[str, str]) -> None:
    assert sources.source(environ, lambda: False) is sources.node


def test_a_registry_is_not_asked_when_a_cluster_is_named() -> None:
    def ask() -> bool:
        raise AssertionError("docker pull")

    sources.source({"RUNPLANE_TEST_KUBECONFIG": "/some/where"}, ask)


def test_the_fixtures_cluster_is_the_one_that_is_taken(
    on_path: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl = on_path("kubectl", "https://127.0.0.1:6443")
    monkeypatch.setenv("RUNPLANE_TEST_KUBECONFIG", "/some/where")

    with sources.cluster() as taken:
        words = taken.kubectl_command("get", "pods")

    assert words == [str(kubectl), "--kubeconfig=/some/where", "get", "pods"]
    assert (taken.node, taken.publish, taken.host) == (None, None, "127.0.0.1")


# What is said where there is none ---------------------------------------------------------------------------------------------


def test_a_named_cluster_without_kubectl(on_path: Callable[..., Path]) -> None:
    with pytest.raises(ClusterUnavailableError) as refused, sources.given(Path("/some/where")):
        pass

    assert str(refused.value) == (
        "RUNPLANE_TEST_KUBECONFIG is set, and there is no kubectl on PATH to call: install it, or unset RUNPLANE_TEST_KUBECONFIG"
    )


@pytest.mark.parametrize(("code", "said"), [(1, "which kubectl can not use"), (0, "no server is named in there")])
def test_a_named_cluster_that_kubectl_does_not_know(on_path: Callable[..., Path], code: int, said: str) -> None:
    on_path("kubectl").write_text(f"#!/bin/sh\nexit {code}\n")

    with pytest.raises(ClusterUnavailableError, match=said) as refused, sources.given(Path("/some/where")):
        pass

    assert "RUNPLANE_TEST_KUBECONFIG names /some/where, which" in str(refused.value)
    assert str(refused.value).endswith("; correct it, or unset RUNPLANE_TEST_KUBECONFIG")


def test_somebody_who_is_not_root(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(Settings, "from_environment", lambda: settings)

    code = command.main(["up"])

    assert (code, capsys.readouterr().err) == (
        3,
        (
            "no Kubernetes cluster: only root can start a Kubernetes node, and this is the user with the id 1000: "
            f"call it as root (sudo), {ELSE}\n"
        ),
    )
    assert not settings.run.exists()


def test_a_session_of_somebody_who_is_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(ClusterUnavailableError, match="only root can start a Kubernetes node"), sources.node():
        pass


def test_no_go(on_path: Callable[..., Path], tmp_path: Path) -> None:
    said = _build_of_kubernetes(tmp_path)

    assert said == (
        f"Kubernetes can not be built: Go 1.21 or newer is needed, and there is none, neither on PATH nor as {go_programs.USUAL}: "
        "install it from https://go.dev/dl; or name a folder with its programs by RUNPLANE_TEST_CLUSTER_PROGRAMS, "
        + ELSE
    )


@pytest.mark.parametrize(
    ("prints", "code"), [("go version go1.19.8 linux/amd64", 0), ("no version is set", 1), ("gone", 0)]
)
def test_a_go_that_is_too_old_or_none(on_path: Callable[..., Path], tmp_path: Path, prints: str, code: int) -> None:
    program = on_path("go", prints, code)

    said = _build_of_kubernetes(tmp_path)

    assert (
        f"Go 1.21 or newer is needed, and {program} says: {prints}: install it from https://go.dev/dl; or name a folder"
        in said
    )


def test_a_go_that_is_new_enough_builds(on_path: Callable[..., Path], tmp_path: Path) -> None:
    on_path("go", "go version go1.26.1 linux/amd64")

    programs._build(tmp_path)


def test_a_folder_of_programs_that_lacks_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in programs.NAMES[:-2]:
        (tmp_path / name).touch()
    monkeypatch.setenv("RUNPLANE_TEST_CLUSTER_PROGRAMS", str(tmp_path))

    with pytest.raises(ClusterUnavailableError) as refused:
        programs.folder()

    assert str(refused.value) == (
        f"RUNPLANE_TEST_CLUSTER_PROGRAMS names {tmp_path}, where kube-proxy, cluster-dns should be and are not: "
        "unset it, and the programs are built (10 minutes of CPU time)"
    )


def test_no_package_manager_to_install_what_the_node_needs(
    on_path: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "DEBIAN", {"a-server-that-nobody-has": "a-server"})
    monkeypatch.setattr(programs, "CNI", Path("/nowhere"))

    with pytest.raises(ClusterUnavailableError) as refused:
        programs.install_packages()

    assert str(refused.value) == (
        "a-server, containernetworking-plugins: not there, and without apt-get not installed by the tests; "
        f"install them, {ELSE}"
    )


def test_no_control_groups(settings: Settings, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("proc /proc proc rw 0 0\ncgroup2 /elsewhere cgroup2 rw 0 0\n")

    with pytest.raises(ClusterUnavailableError) as refused:
        sandbox.make_cgroups(settings, sandbox.cgroup_hierarchies(mounts))

    assert str(refused.value) == (
        "kubelet needs control groups, and none are mounted below /sys/fs/cgroup: mount -t cgroup2 none /sys/fs/cgroup "
        f"(in a container, start that one with --privileged), {ELSE}"
    )


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0", ["/sys/fs/cgroup"]),
        (
            "cgroup /sys/fs/cgroup/memory cgroup rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw 0 0",
            ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu"],
        ),
    ],
)
def test_control_groups_of_both_versions_are_found(tmp_path: Path, lines: str, found: list[str]) -> None:
    (tmp_path / "mounts").write_text(lines)

    assert [str(h) for h in sandbox.cgroup_hierarchies(tmp_path / "mounts")] == found


def test_control_groups_that_can_not_be_made(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "no-folder"
    place.touch()

    with pytest.raises(ClusterUnavailableError) as refused:
        sandbox.make_cgroups(settings, [place])

    said = str(refused.value)
    assert said.startswith(f"kubelet needs control groups, and none can be made in {place}: [Errno 20] Not a directory")
    assert said.endswith(f"; mount it for writing (in a container, start that one with --privileged), {ELSE}")


# Twice, and nothing left -----------------------------------------------------------------------------------------------------


def test_taking_down_what_never_was_leaves_nothing(settings: Settings) -> None:
    assert [lifecycle.down(settings), lifecycle.down(settings, only_if_unused=True)] == [True, True]

    assert not settings.run.exists()
    assert not settings.folder.exists()


def test_each_place_and_address_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {
        "folder": "/f", "run": "/r", "interface": "i", "host_address": "10.1.0.1", "node_address": "10.1.0.2",
        "pod_network": "10.2.0.0/16", "service_network": "10.3.0.0/16", "cgroup": "c", "name": "n",
    }  # fmt: skip
    for name, value in wanted.items():
        monkeypatch.setenv(f"RUNPLANE_TEST_CLUSTER_{name.upper()}", value)

    made = Settings.from_environment()

    assert {name: str(getattr(made, name)) for name in wanted} == wanted
    assert set(wanted) == set(vars(made))
    assert made.kubeconfig == Path("/r/kubeconfig")


def _build_of_kubernetes(place: Path) -> str:
    with pytest.raises(ClusterUnavailableError) as refused:
        programs._build(place)
    return str(refused.value)
