"""Who may do what: accounts have exactly the verbs that the docs list for their roles, with which all runs of these tests get along; steps
may come as another role to the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from runplane.cli.main import root
from runplane.events.status import RunStatus
from runplane.kube.access import cluster_access
from runplane.kube.client import KubeClient
from runplane.kube.roles import DAEMON, OWNER, RUN_WORKER, Permission
from runplane.storage.contract import RunFilter
from services.kubernetes_house import ACCOUNT, LAUNCHER, POWERLESS, House, MakeHouse, step_of
from services.postgres import PostgresServer

ROLES = {LAUNCHER: DAEMON, ACCOUNT: RUN_WORKER, POWERLESS: ()}
OF_NOBODY = (
    Permission("get", "secrets"),
    Permission("list", "secrets"),
    Permission("get", "configmaps"),
    Permission("create", "pods"),
    Permission("create", "pods", "", "exec"),
    Permission("list", "nodes"),
)
STEPS_ROLE = "runplane_step"
PASSWORD_KEY = "postgresql-password"
STEPS_SECRET = "step-postgresql-secret"
STEPS_PASSWORD = "of steps alone"  # noqa: S105 - of a server that lives as long as the tests


def test_each_account_may_do_exactly_what_the_docs_list(house: House) -> None:
    every = {*DAEMON, *RUN_WORKER, *OWNER, *OF_NOBODY}
    for account, role in ROLES.items():
        client = KubeClient(cluster_access(kubeconfig_file=str(house.kubeconfig_of(account))))

        allowed = {
            one
            for one in every
            if client.can_i(one.verb, one.resource, house.namespace, group=one.group, subresource=one.subresource)
        }

        assert allowed == set(role), account


@pytest.fixture
def grant_steps_role(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[House, str], None]]:
    """Make the role that ``doctor --sql`` prints, with a password."""
    role = sql.Identifier(STEPS_ROLE)
    databases: list[str] = []

    def grant(house: House, database: str) -> None:
        house.instance.runs.page(RunFilter(), limit=1)  # its schema is there
        monkeypatch.setenv("DAGSTER_HOME", str(house.folder))
        printed = CliRunner().invoke(root, ["doctor", "--sql", "--role", STEPS_ROLE], catch_exceptions=False).stdout
        with psycopg.connect(postgres_server.url(database), autocommit=True) as connection:
            connection.execute(printed.encode())
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, STEPS_PASSWORD))
        databases.append(database)

    yield grant
    for database in databases:
        with psycopg.connect(postgres_server.url(database), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
            connection.execute(sql.SQL("DROP ROLE {}").format(role))


def test_pods_of_steps_come_as_another_role_to_the_database(
    make_house: MakeHouse, grant_steps_role: Callable[[House, str], None], postgres_database: str
) -> None:
    """With the password of that role and no other."""
    house = make_house(shared=False)
    password = {
        "metadata": {"namespace": house.namespace, "name": STEPS_SECRET},
        "stringData": {PASSWORD_KEY: STEPS_PASSWORD},
    }
    house.cluster.apply({"apiVersion": "v1", "kind": "Secret", **password})
    grant_steps_role(house, postgres_database)

    run_id = house.submit("as_another_role")

    assert house.wait_for_end(run_id) is RunStatus.SUCCESS, house.story()
    house.check(run_id)
    assert {s["role"] for s in house.watcher.said if s["what"] == "start"} == {STEPS_ROLE}
    steps = [p["spec"]["containers"][0] for p in house.pods() if step_of(p)]
    assert [secrets_of(container) for container in steps] == [{STEPS_SECRET}] * 2


def secrets_of(container: dict[str, object]) -> set[str]:
    """The secrets that a container's variables come from."""
    env = container["env"]
    assert isinstance(env, list)
    return {v["valueFrom"]["secretKeyRef"]["name"] for v in env if "secretKeyRef" in v.get("valueFrom", {})}
