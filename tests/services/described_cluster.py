"""What the description's documents name, on a real cluster: its namespaces, servers, accounts, secret, ConfigMap, image and node group.

Nothing in the documents is changed. What they leave out of a pod (they are extracts) is the code location's: its image and account.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import yaml

from cluster.clusters import Cluster
from runplane.engine.snapshot import PlanSnapshot
from runplane.events.status import RunStatus
from runplane.events.wire import read_run_args
from runplane.instance.instance import Instance, RunRequest
from runplane.locations.subprocess_source import SubprocessCodeSource
from runplane.locations.target import CodeRequest, CodeTarget
from services.kubernetes_house import POWERLESS, SECRET, WORKFLOWS, Watcher, account_with
from services.postgres import PASSWORD, PostgresServer
from services.s3 import S3Server

DOCUMENTS = Path(__file__).resolve().parents[1] / "fixtures" / "description"
RUN_POD: dict[str, Any] = yaml.safe_load((DOCUMENTS / "text6.yaml").read_text())["spec"]
STEP_DOCUMENT = (DOCUMENTS / "text8.json").read_text()
REQUEST = read_run_args(RUN_POD["containers"][0]["args"][3])
CONTEXT: dict[str, Any] = dict(REQUEST.origin.repository_origin.container_context or {})["k8s"]
NAMESPACE = "dagster"
DATABASE = "dagster"
BUCKET = "dagster"
IMAGE = "ghcr.io/ssup2-playground/k8s-data-platform_dagster-workflows:0.4.8"
NODE_GROUP = ("node-group.dp.ssup2", "worker")
ENV_CONFIG_MAP = "dagster-dagster-user-deployments-dagster-workflows-user-env"
ACCOUNTS = {"dagster": "run-worker", CONTEXT["service_account_name"]: "run-worker", POWERLESS: None}
PATIENCE_S = 120.0


class DescribedCluster:
    """The cluster as the description has it, as long as this object lives.

    Args:
        cluster: whose node is ours, with its registry.
        image: the user's, in the cluster.
        postgres: has the name ``postgresql.postgresql`` in there.
        s3: has the name ``minio.minio``, and the account that the documents hold.
        folder: empty.
    """

    def __init__(self, cluster: Cluster, image: str, postgres: PostgresServer, s3: S3Server, folder: Path) -> None:
        assert cluster.publish is not None
        self.cluster, self.namespace, self.s3 = cluster, NAMESPACE, s3
        self.watcher = Watcher(cluster.host)
        self._postgres = postgres
        self._folder = folder
        (folder / "definitions.py").write_text(WORKFLOWS)
        spaces = (NAMESPACE, "postgresql", "minio")
        cluster.kubectl("delete", "namespace", *spaces, "--ignore-not-found", timeout_s=120)  # of a former test
        cluster.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in spaces))
        cluster.name_service("postgresql", "postgresql", 5432, urlsplit(postgres.url()).port or 5432)
        cluster.name_service("minio", "minio", 9000, s3.port)
        here = {"apiVersion": "v1", "metadata": {"namespace": NAMESPACE, "name": SECRET}}
        cluster.apply(
            {**here, "kind": "Secret", "stringData": {"postgresql-password": PASSWORD}},
            {
                **here,
                "kind": "ConfigMap",
                "metadata": {"namespace": NAMESPACE, "name": ENV_CONFIG_MAP},
                "data": {"WATCHER": self.watcher.url, "RUNPLANE_LEASE_TTL": "5", "DAGSTER_PG_USERNAME": "postgres"},
            },
            *(o for account, role in ACCOUNTS.items() for o in account_with(NAMESPACE, account, role)),
        )
        (node,) = cluster.get("nodes")
        cluster.kubectl("label", "node", node["metadata"]["name"], "=".join(NODE_GROUP), "--overwrite")
        cluster.publish(image, IMAGE)
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        (folder / "dagster.yaml").write_text(
            yaml.safe_dump({"storage": {"postgres": {"postgres_url": postgres.url(DATABASE)}}})
        )
        self.instance = Instance.from_home(folder)

    def store_run(self, **tags: str) -> str:
        """Store the run of the documents, as whoever launched it did: its id."""
        target = CodeTarget(python_file=str(self._folder / "definitions.py"))
        with SubprocessCodeSource(CodeRequest(target=target)) as source:
            plan = source.snapshot(REQUEST.origin.job_name)
        assert isinstance(plan, PlanSnapshot), plan
        request = RunRequest(REQUEST.origin.job_name, REQUEST.origin, plan, run_id=REQUEST.run_id, tags=tags)
        return self.instance.create(request).run_id

    def start(self, name: str, args: Sequence[str] | None = None) -> None:
        """Start Text 6's pod, with other arguments if some are given, by a Job of this name."""
        (container,) = RUN_POD["containers"]
        of_location = {"name": "dagster", "image": IMAGE, "imagePullPolicy": CONTEXT["image_pull_policy"]}
        whole = {**of_location, **container, **({"args": list(args)} if args else {})}
        spec = {"restartPolicy": "Never", "serviceAccountName": CONTEXT["service_account_name"], **RUN_POD}
        self.cluster.apply(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {"backoffLimit": 0, "template": {"spec": {**spec, "containers": [whole]}}},
            }
        )

    def wait_for(self, what: str, is_there: Callable[[], object]) -> None:
        """Wait for a named moment."""
        end = time.monotonic() + PATIENCE_S
        while not is_there():
            assert time.monotonic() < end, f"{what} did not come within {PATIENCE_S} s\n{self.story()}"
            time.sleep(0.1)

    def wait_for_end(self) -> RunStatus:
        """Wait until the run is over: how."""
        self.wait_for("the end of the run", lambda: self.instance.journal.head(REQUEST.run_id).status.is_final)
        return self.instance.journal.head(REQUEST.run_id).status

    def kinds(self) -> list[tuple[str, str | None, int | None]]:
        """Kind, step and attempt of each event."""
        return [(str(e.kind), e.step, e.n) for e in self.instance.tail(REQUEST.run_id, 0, 10_000)]

    def story(self) -> str:
        """What happened, for a test that fails."""
        told = [f"{e.kind} {e.step} {e.n} {e.body}" for e in self.instance.tail(REQUEST.run_id, 0, 10_000)]
        objects = self.cluster.kubectl("get", "job,pod,event", "-n", NAMESPACE)
        logs = [
            self.cluster.kubectl(
                "logs", "-n", NAMESPACE, f"job/{job['metadata']['name']}", "--tail=20", "--ignore-errors"
            )
            for job in self.cluster.get("jobs", "-n", NAMESPACE)
        ]
        return "\n".join([*told, objects, *logs])

    def close(self) -> None:
        """Leave the cluster and the server as they were."""
        self.instance.close()
        self.watcher.close()
        self.cluster.kubectl("delete", "namespace", NAMESPACE, "postgresql", "minio", "--wait=false")
        self.cluster.kubectl("label", "node", "--all", f"{NODE_GROUP[0]}-")
        with psycopg.connect(self._postgres.url(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
