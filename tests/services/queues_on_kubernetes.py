"""Steps in Celery's queues on a real cluster: the workers are the Deployments of `examples/celery`, in its image."""

from __future__ import annotations

import copy
import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cluster.clusters import Cluster
from services.kubernetes_house import WORKFLOWS

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "celery"
IMAGE = "runplane-celery-example:1"
BROKER_PORT = 6379
QUEUED_WORKFLOWS = (
    WORKFLOWS
    + """
from runplane import celery_k8s_job_executor

def in_queue(queue, count):
    for number in range(count):
        @op(name=f"{queue}_{number}", tags={"dagster-celery/queue": queue})
        def waits(context):
            body(context)

        waits()

def of_two_queues(name, count):
    @job(name=name, executor_def=celery_k8s_job_executor)
    def two_queues():
        in_queue("narrow", count)
        in_queue("wide", count)

    return two_queues

@op(tags={"dagster-celery/queue": "narrow"})
def refuses(context):
    print("55 is too much")
    raise ValueError("so it ends here")

@job(executor_def=celery_k8s_job_executor)
def refused_in_a_queue():
    refuses()

defs = Definitions(jobs=[refused_in_a_queue, *(of_two_queues(f"two_queues_{count}", count) for count in (5, 50))])
"""
)


def build_example_image(base: str) -> None:
    """The example's image as its page says, on the tests' one: that gets what `EXTRAS=celery` would have given it, and our jobs."""
    with tempfile.TemporaryDirectory(prefix="runplane-queues-") as folder:
        Path(folder, "definitions.py").write_text(QUEUED_WORKFLOWS)
        Path(folder, "Dockerfile").write_text(
            f"FROM {base}\n"
            "USER 0\n"
            "RUN python3 -m venv /tmp/tools && /tmp/tools/bin/pip --python /opt/runplane/bin/python install --no-cache-dir"
            " --disable-pip-version-check 'runplane[celery]' && rm -r /tmp/tools\n"
            "USER 10001:10001\n"
            "COPY definitions.py /app/workflows/definitions.py\n"
        )
        _docker("build", "-q", "--network", "host", "-t", "runplane-test-queues", folder)
    _docker("build", "-q", "-t", IMAGE, "--build-arg", "BASE=runplane-test-queues", str(EXAMPLE))


def _docker(*words: str) -> None:
    done = subprocess.run(["docker", *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def documents(name: str) -> list[dict[str, Any]]:
    """The objects of a file of the example."""
    return list(yaml.safe_load_all((EXAMPLE / "kubernetes" / f"{name}.yaml").read_text(encoding="utf-8")))


def deployment(queue: str, replicas: int, slots: int, image: str, **env: str) -> dict[str, Any]:
    """The example's Deployment of workers, of another queue."""
    made = copy.deepcopy(documents("workers")[0])
    name = f"dagster-celery-workers-{queue}"
    made["metadata"]["name"] = name
    made["spec"]["replicas"] = replicas
    made["spec"]["selector"]["matchLabels"] = made["spec"]["template"]["metadata"]["labels"] = {"app": name}
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["image"] = image
    assert container["args"][-4::2] == ["-q", "-c"]
    container["args"][-3:] = [queue, "-c", str(slots)]
    container["env"] += [{"name": key, "value": value} for key, value in env.items()]
    return made


class PodWatch:
    """What the cluster tells of the pods of a namespace, while it is entered. `folder`: for what it tells."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        self._file = folder / "pods-watched"
        words = ("get", "pods", "-n", namespace, "--watch", "--output-watch-events", "-o", "json")
        self._command = cluster.kubectl_command(*words)

    def __enter__(self) -> PodWatch:
        with self._file.open("wb") as out:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=out)
        return self

    def __exit__(self, *exc: object) -> None:
        ended = self._process.poll()
        self._process.kill()
        self._process.wait()
        assert ended is None, "the watch ended before the test"

    def most_at_once(self) -> Counter[str]:
        """How many pods of steps whose keys begin alike were there at once: those that waited to be started too, not those whose container has
        ended, which the kubelet calls Running for a second more."""
        live: dict[str, str] = {}
        most: Counter[str] = Counter()
        for event in self._events():
            pod = event["object"]
            step = pod["metadata"].get("annotations", {}).get("runplane/step-key")
            if step is None:
                continue
            if event["type"] == "DELETED" or _has_ended(pod):
                live.pop(pod["metadata"]["uid"], None)
            else:
                live[pod["metadata"]["uid"]] = step.partition("_")[0]
            most |= Counter(live.values())
        return most

    def _events(self) -> Iterator[dict[str, Any]]:
        text, decoder, at = self._file.read_text(encoding="utf-8"), json.JSONDecoder(), 0
        while at < len(text):
            try:
                event, at = decoder.raw_decode(text, at)
            except json.JSONDecodeError:
                return  # the last one is still being written
            yield event
            while text[at : at + 1].isspace():
                at += 1


def _has_ended(pod: dict[str, Any]) -> bool:
    containers = pod["status"].get("containerStatuses", ())
    return pod["status"].get("phase") in ("Succeeded", "Failed") or any("terminated" in c["state"] for c in containers)
