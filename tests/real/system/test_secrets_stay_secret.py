"""What is given by ``{env: NAME}`` is in nothing that runplane writes, prints or passes on: a canary is looked for everywhere."""

from __future__ import annotations

import json
import secrets
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from runplane.events.requests import ExecuteStepArgs, ResumeRunArgs
from runplane.events.status import RunStatus
from runplane.events.wire import to_compressed, to_text
from services.s3 import S3Server
from services.system import System

CODE = """
import hashlib
from runplane import Config, ConfigurableResource, EnvVar, IntSource, RetryPolicy, StringSource, job, multiprocess_executor, op, resource

def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()

@resource(config_schema={"token": StringSource})
def api(init_context):
    return init_context.resource_config["token"]

class Mail(ConfigurableResource):
    password: str

@op(required_resource_keys={"api", "mail"}, config_schema={"key": StringSource})
def uses(context):
    token, password, key = context.resources.api, context.resources.mail.password, context.op_config["key"]
    say(context, "start", digests=[digest(token), digest(password), digest(key)])
    context.log.info("used the token, which nobody is to see")
    print("used it")
    return 1

@op(required_resource_keys={"api"}, retry_policy=RetryPolicy(max_retries=1))
def fails(context, number):
    token = context.resources.api  # a local of the frame that fails
    try:
        {}[number]
    except KeyError as error:
        raise ValueError("the service said no") from error

@op(required_resource_keys={"api"})
def waits(context, number):
    import time
    time.sleep(0.5)

@job(
    resource_defs={"api": api, "mail": Mail(password=EnvVar("CANARY_MAIL"))},
    executor_def=multiprocess_executor.configured({"max_concurrent": 2}),
    config={
        "resources": {"api": {"config": {"token": {"env": "CANARY_TOKEN"}}}},
        "ops": {"uses": {"config": {"key": {"env": "CANARY_OP"}}}},
    },
)
def leaky():
    number = uses()
    fails(number)
    waits(number)
"""
YAML = """
storage:
  postgres:
    postgres_db:
      username: {role}
      password: {{env: CANARY_POSTGRES}}
      hostname: {host}
      port: {port}
      db_name: {database}
python_logs: {{managed_python_loggers: [root]}}
"""
S3 = """
compute_logs:
  module: dagster_obstore.s3.compute_log_manager
  class: S3ComputeLogManager
  config:
    bucket: BUCKET
    access_key_id: {env: CANARY_S3_KEY}
    secret_access_key: {env: CANARY_S3_SECRET}
    endpoint: ENDPOINT
    prefix: compute-log
    allow_http: true
"""
NAMES = ("POSTGRES", "TOKEN", "MAIL", "OP", "S3_KEY", "S3_SECRET")


@dataclass
class Canaries:
    """The secrets, and what was looked through."""

    values: dict[str, str]
    looked: list[str] = field(default_factory=list)

    def look(self, where: str, what: str | bytes) -> None:
        """Fail when one of them is in there."""
        data = what.encode() if isinstance(what, str) else what
        self.looked.append(where)
        found = [name for name, value in self.values.items() if value.encode() in data]
        assert not found, f"{', '.join(found)} in {where}"

    def look_at_value(self, where: str, value: Any) -> None:
        """The same for a value of a database, which may be packed."""
        if isinstance(value, (bytes, memoryview)):
            try:
                self.look(where, zlib.decompress(value))
            except zlib.error:
                self.look(where, bytes(value))
        else:
            self.look(where, str(value))


@pytest.fixture
def canaries() -> Canaries:
    return Canaries({f"CANARY_{name}": f"canary{secrets.token_hex(12)}" for name in NAMES})


@pytest.fixture
def logs_in_s3(s3_server: S3Server, s3_bucket: str, canaries: Canaries) -> str:
    """The part of a dagster.yaml; the keys of the bucket's server are canaries too."""
    canaries.values |= {"CANARY_S3_KEY": s3_server.access_key, "CANARY_S3_SECRET": s3_server.secret_key}
    return S3.replace("BUCKET", s3_bucket).replace("ENDPOINT", s3_server.endpoint)


@pytest.fixture
def role(postgres_url: str, canaries: Canaries) -> Iterator[str]:
    """A user of the database whose password is a canary."""
    name = f"canary_{secrets.token_hex(4)}"
    password = canaries.values["CANARY_POSTGRES"]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        make = sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}")
        connection.execute(make.format(sql.Identifier(name), sql.Literal(password)))
        yield name
        connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def leaky(
    make_system: Callable[..., System], postgres_url: str, role: str, canaries: Canaries
) -> Callable[[str], System]:
    parts = urlsplit(postgres_url)
    yaml = YAML.format(role=role, host=parts.hostname, port=parts.port, database=parts.path.lstrip("/"))
    return lambda more: make_system(CODE, yaml + more, canaries.values)


@pytest.mark.parametrize("logs", ["", "logs_in_s3"], ids=["logs in files", "logs in S3"])
def test_no_secret_is_in_anything_that_a_run_leaves(
    leaky: Callable[[str], System],
    canaries: Canaries,
    postgres_url: str,
    logs: str,
    request: pytest.FixtureRequest,
    s3_server: S3Server,
    s3_bucket: str,
) -> None:
    more = request.getfixturevalue(logs) if logs else ""
    system = leaky(more)
    run_id = system.create("leaky")
    watch = Watch(system)

    worker = system.worker(run_id)
    watch.until(worker)

    assert system.status(run_id) is RunStatus.FAILURE
    kinds = system.kinds(run_id)
    assert (kinds["STEP_FAILURE"], kinds["STEP_UP_FOR_RETRY"], kinds["STEP_SUCCESS"]) == (1, 1, 2), system.story(run_id)
    the_secrets_were_really_used(system, canaries)
    assert {"api", "execute_run"} <= set(watch.words), "the worker's arguments were seen"
    canaries.look("process arguments", " ".join(watch.words))
    look_at_documents(system, run_id, canaries)
    look_at_commands(system, run_id, canaries, some=bool(more))
    look_at_rows(postgres_url, canaries)
    for file in sorted(p for p in system.folder.rglob("*") if p.is_file()):
        canaries.look(f"file {file.relative_to(system.folder)}", file.read_bytes())
    for key in s3_server.keys(s3_bucket):
        canaries.look(f"object {key}", s3_server.data(s3_bucket, key))
    assert any("stderr" in where for where in canaries.looked)
    where_logs_are = "object compute-log/" if logs else "file home/storage/"
    assert any(w.startswith(where_logs_are) and w.endswith(".out") for w in canaries.looked)


def test_documents_carry_names_and_no_values(
    leaky: Callable[[str], System], canaries: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in canaries.values.items():
        monkeypatch.setenv(name, value)
    system = leaky(S3.replace("ENDPOINT", "http://minio.minio:9000"))

    look_at_documents(system, system.create("leaky"), canaries)

    assert len(canaries.looked) == 3


def test_a_worker_that_is_launched_by_the_instance_shows_no_secret(
    leaky: Callable[[str], System], canaries: Canaries
) -> None:
    system = leaky("")
    watch = Watch(system)

    launched = watch.during(lambda: system.cli("job", "launch", "-f", str(system.file), "-j", "leaky", "--json"))
    run_id = json.loads(launched.stdout)["run_id"]
    watch.during(lambda: system.wait_for_status(run_id, RunStatus.FAILURE))

    the_secrets_were_really_used(system, canaries)
    canaries.look("process arguments", " ".join(watch.words))
    canaries.look("output of job launch", launched.stdout + launched.stderr)
    system.wait_for("the worker's end", lambda: not system.processes())
    for file in sorted(p for p in system.folder.rglob("*") if p.is_file()):
        canaries.look(f"file {file.relative_to(system.folder)}", file.read_bytes())


def test_a_wrong_secret_is_not_shown_either(leaky: Callable[[str], System], canaries: Canaries) -> None:
    """A value that can not be used is told of by its type and the variable's name."""
    system = leaky("run_monitoring:\n  enabled: true\n  max_resume_run_attempts: {env: CANARY_OP}\n")

    checked = system.cli("instance", "check", "--json")
    told = system.cli("instance", "check")

    assert checked.returncode == told.returncode == 2, checked.stdout
    assert "max_resume_run_attempts" in checked.stdout
    canaries.look("instance check", checked.stdout + checked.stderr + told.stdout + told.stderr)


def test_a_database_that_refuses_a_password_is_told_of_without_it(
    leaky: Callable[[str], System], canaries: Canaries
) -> None:
    system = leaky("")

    told = system.cli("run", "list", CANARY_POSTGRES="canary-not-the-password", RUNPLANE_TEST_ENDS_AT="1")
    gone = system.cli("run", "list", PGHOST="nowhere.invalid")

    for done in (told, gone):
        canaries.look("run list", done.stdout + done.stderr)
        assert "canary-not-the-password" not in done.stdout + done.stderr


class Watch:
    """Looks at the arguments of every process of a system, again and again."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.words: list[str] = []

    def until(self, process: Any) -> None:
        """Until a process has ended."""
        self.during(lambda: process.wait(90))

    def during(self, act: Callable[[], Any]) -> Any:
        """While something is done in another thread; its result."""
        done: list[Any] = []
        thread = threading.Thread(target=lambda: done.append(act()), daemon=True)
        thread.start()
        while thread.is_alive():
            for process in self._system.processes():
                self._note(Path(f"/proc/{process.pid}/cmdline"))
            thread.join(0.02)
        return done[0]

    def _note(self, file: Path) -> None:
        try:
            words = file.read_text(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            return
        self.words += words


def the_secrets_were_really_used(system: System, canaries: Canaries) -> None:
    """Otherwise that they are nowhere would show nothing."""
    import hashlib

    (said,) = system.bodies(what="start")
    used = [hashlib.sha256(canaries.values[f"CANARY_{n}"].encode()).hexdigest() for n in ("TOKEN", "MAIL", "OP")]
    assert said["digests"] == used


def look_at_documents(system: System, run_id: str, canaries: Canaries) -> None:
    run = system.instance.runs.get(run_id)
    assert run.origin is not None
    step = ExecuteStepArgs(system.instance.ref, run.origin, run_id, ("uses",))
    resume = ResumeRunArgs(system.instance.ref, run.origin, run_id)
    for document in (system.instance.document(run), to_text(step), to_text(resume)):
        canaries.look("a request document", document)
        assert "CANARY_POSTGRES" in document, "the name of the variable travels"
    system.folder.joinpath("document").write_text(to_compressed(step))


def look_at_commands(system: System, run_id: str, canaries: Canaries, *, some: bool) -> None:
    """What every command that shows something prints."""
    commands = [
        ["instance", "info"], ["instance", "info", "--json"], ["instance", "check"], ["instance", "check", "--json"],
        ["run", "list", "--json"], ["run", "show", run_id], ["run", "show", run_id, "--json"], ["run", "events", run_id],
        ["run", "events", run_id, "--json"], ["run", "logs", run_id], ["args", "show", "-f", str(system.folder / "document")],
        ["args", "show", "-f", str(system.folder / "document"), "--json"], ["job", "list", "-f", str(system.file), "--json"],
    ]  # fmt: skip
    for words in [c for c in commands if c[0] == "instance" or c[1] in ("show", "logs")] if some else commands:
        done = system.cli(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        canaries.look(" ".join(words), done.stdout + done.stderr)


def look_at_rows(url: str, canaries: Canaries) -> None:
    rows = 0
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in found:
            query = sql.SQL("SELECT * FROM {}.{}").format(sql.Identifier(schema), sql.Identifier(table))
            for row in connection.execute(query):
                rows += 1
                for value in row:
                    canaries.look_at_value(f"table {schema}.{table}", value)
    assert rows > 50
