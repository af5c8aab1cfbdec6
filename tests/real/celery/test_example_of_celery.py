"""examples/celery: its programs are started as its compose file says, on a Redis and a Postgres of the test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.redis_server import RedisServer

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "celery"
PATIENCE_S = 60.0
Start = Callable[[str], "subprocess.Popen[str]"]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((EXAMPLE / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


@pytest.fixture
def start(tmp_path: Path, redis_broker: RedisServer, postgres_url: str) -> Iterator[Start]:
    """Starts the program of a service of the compose file, in a folder like its container's."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(EXAMPLE / "dagster.yaml", home)
    started: list[subprocess.Popen[str]] = []

    def start(service: str) -> subprocess.Popen[str]:
        program, *words = compose()[service]["command"]
        assert program == "runplane"
        environment = {"DAGSTER_HOME": str(home), "DATABASE_URL": postgres_url, "CELERY_BROKER": redis_broker.url}
        assert set(environment) == set(compose()[service]["environment"])
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "runplane", *words],
                cwd=EXAMPLE,
                env={**os.environ, **environment, "RUNPLANE_CELERY_WORKER_FILE": str(tmp_path / f"{service}.json")},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        process.communicate(timeout=PATIENCE_S)


def test_the_job_runs_on_the_workers_of_both_queues(start: Start, tmp_path: Path) -> None:
    for service in ("steps", "gpu"):
        start(service)
    until = time.monotonic() + PATIENCE_S
    while not all((tmp_path / f"{service}.json").exists() for service in ("steps", "gpu")):
        assert time.monotonic() < until
        time.sleep(0.05)

    run = start("nightly")
    printed, _ = run.communicate(timeout=2 * PATIENCE_S)

    assert run.returncode == 0, printed
    assert "of nightly succeeded in" in printed
    served = {name: json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8")) for name in ("steps", "gpu")}
    assert served["gpu"]["slots"] == 1


def kubernetes(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLE / "kubernetes" / f"{file}.yaml").read_text(encoding="utf-8")))


def test_probes_and_manifests_are_of_this_version(tmp_path: Path) -> None:
    probe = compose()["gpu"]["healthcheck"]["test"]
    instance = kubernetes("instance")[0]["data"]["dagster.yaml"]
    words = []
    for worker in kubernetes("workers"):
        (container,) = worker["spec"]["template"]["spec"]["containers"]
        words.append(container["args"])
        for kind in ("startupProbe", "livenessProbe"):
            assert ["CMD", *container[kind]["exec"]["command"]] == probe

    for command in (*words, probe[1:]):
        helped = subprocess.run(
            [sys.executable, "-m", "runplane", *command[1:], "--help"], capture_output=True, text=True, check=False
        )
        assert helped.returncode == 0, helped.stderr
    file = tmp_path / "dagster.yaml"
    file.write_text(instance, encoding="utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "runplane", "instance", "check", "-f", str(file), "--allow-missing-env"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_flower_is_the_same_everywhere() -> None:
    """What is started is shown to count in ``test_flower.py``."""
    config, deployment = kubernetes("flower")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    in_compose = compose()["flower"]

    assert container["image"] == in_compose["image"]
    assert [word.replace("redis-master", "redis") for word in container["args"]] == in_compose["command"]
    assert {e["name"]: e["value"] for e in container["env"]} == in_compose["environment"]
    for text in (config["data"]["celeryconfig.py"], (EXAMPLE / "flower" / "celeryconfig.py").read_text()):
        assert text.splitlines()[-1] == 'broker_transport_options = {"priority_steps": list(range(10))}'
