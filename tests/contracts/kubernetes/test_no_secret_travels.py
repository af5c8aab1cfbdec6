"""Secrets that the configuration names by `{env: X}`: nothing that the cluster is asked, holds or printed, and nothing in the database."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg import sql

from runplane.events.status import RunStatus
from services.kubernetes_room import KubernetesRoom, MakeRoom
from services.s3 import S3Server

PODS_HOST = "2130706433"
"""127.0.0.1 as one number: pods, which are processes here, reach it, and it is no address that is refused for a cluster."""


class Canaries:
    """Secrets that can be told from everything else, in the environment only.

    Attributes:
        env: variable -> its value.
        words: what may be nowhere.
    """

    def __init__(self, postgres_url: str, s3: S3Server) -> None:
        url = urlsplit(postgres_url)
        self.password = f"canary/{secrets.token_hex(8)}:@"
        self.user = f"canary_{secrets.token_hex(4)}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            role = sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}")
            connection.execute(role.format(sql.Identifier(self.user), sql.Literal(self.password)))
        self.port, self.database = url.port, url.path.strip("/")
        quoted = quote(self.password, safe="")
        whole = f"postgresql://{self.user}:{quoted}@{PODS_HOST}:{self.port}/{self.database}"
        self.env = {
            "CANARY_PASSWORD": self.password,
            "CANARY_URL": whole,
            "CANARY_KEY": s3.access_key,
            "CANARY_SECRET": s3.secret_key,
        }
        self.words = (self.password, quoted, s3.access_key, s3.secret_key)

    def storage(self, form: str) -> Mapping[str, Any]:
        """The storage in one of its forms."""
        own = {"runplane": {"direct_url": {"env": "CANARY_URL"}}}
        if form == "a URL with user info":
            return {"postgres": {"postgres_url": {"env": "CANARY_URL"}, **own}}
        place = {"hostname": PODS_HOST, "port": self.port, "db_name": self.database, "username": self.user}
        return {"postgres": {"postgres_db": {**place, "password": {"env": "CANARY_PASSWORD"}}, **own}}

    def are_not_in(self, what: str, text: str) -> None:
        for word in self.words:
            assert word not in text, f"a secret is in {what}"


@pytest.mark.parametrize(
    ("executor", "form"), [("k8s", "a password of its own"), ("multiprocess", "a URL with user info")]
)
def test_no_secret_is_in_anything_that_others_can_read(
    make_room: MakeRoom,
    postgres_url: str,
    s3_server: S3Server,
    s3_bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    executor: str,
    form: str,
) -> None:
    canaries = Canaries(postgres_url, s3_server)
    for name, value in canaries.env.items():
        monkeypatch.setenv(name, value)
    logs = {
        "bucket": s3_bucket,
        "endpoint": s3_server.endpoint,
        "allow_http": True,
        "region": s3_server.region,
        "access_key_id": {"env": "CANARY_KEY"},
        "secret_access_key": {"env": "CANARY_SECRET"},
    }
    compute_logs = {"module": "dagster_obstore.s3.compute_log_manager", "class": "S3ComputeLogManager", "config": logs}
    room = make_room(config={"storage": canaries.storage(form), "compute_logs": compute_logs})
    asked = recorded(room)
    room.daemon()

    good = room.submit(executor)
    bad = room.submit(executor, hold=["first"])
    room.wait_for("a body", lambda: room.started(bad, "first"))
    room.pods.kill(room.run_pod(bad))
    room.wait_for("its second worker", lambda: room.instance.journal.head(bad).epoch == 2)
    room.let_go(bad)

    assert room.wait_for_end(good, bad) == [RunStatus.SUCCESS] * 2
    room.wait_for_no_pod(bad, 20)
    canaries.are_not_in("a request to the cluster", "\n".join(asked))
    for resource in ("jobs", "pods", "events", "configmaps", "secrets"):
        canaries.are_not_in(f"the cluster's {resource}", json.dumps(room.cluster.store.all(resource)[0]))
    for pod in room.cluster.all_pods():
        log = room.cluster.api.logs[pod["metadata"]["namespace"], pod["metadata"]["name"]]()
        canaries.are_not_in(f"the log of pod {pod['metadata']['name']}", log)
    canaries.are_not_in("the daemon's log", (room.folder / "daemon.log").read_text())
    for table, rows in everything_stored(postgres_url).items():
        canaries.are_not_in(f"the table {table}", rows)


def recorded(room: KubernetesRoom) -> list[str]:
    """What the cluster is asked from now on."""
    asked: list[str] = []
    answer = room.cluster.api.answer

    def record(address: Any, body: Any) -> Any:
        asked.append(f"{address} {json.dumps(body)}")
        return answer(address, body)

    room.cluster.api.answer = record  # type: ignore[method-assign]
    return asked


def everything_stored(postgres_url: str) -> dict[str, str]:
    """Table -> all its rows as text."""
    found: dict[str, str] = {}
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'runplane'").fetchall()
        for (table,) in tables:
            rows = connection.execute(sql.SQL("SELECT t::text FROM runplane.{} t").format(sql.Identifier(table)))
            found[table] = "\n".join(row[0] for row in rows)
    assert {"event", "run", "attempt"} <= found.keys()
    assert "STEP_SUCCESS" in found["event"], "this looks into the right tables"
    return found
