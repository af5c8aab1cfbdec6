"""Where runs and events are kept: one database, whichever of Dagster's forms names it.

Dagster can spread runs, events and schedules over three databases; here one transaction covers all of them, so several
databases are an error that names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ..config.schema import env_name, resolve
from ..errors import ConfigErrors, Problems, RunplaneError, UnsupportedError
from ..serdes.record import record
from .class_schemas import POSTGRES
from .config import STORAGE_TRIO, InstanceConfig
from .home import StorageChangedError
from .parts import Part

SQLITE_FILE = "runplane.db"
_POSTGRES_CLASSES = (
    "DagsterPostgresStorage",
    "PostgresRunStorage",
    "PostgresEventLogStorage",
    "PostgresScheduleStorage",
)
SQLITE_CLASSES = (
    "DagsterSqliteStorage",
    "SqliteRunStorage",
    "SqliteEventLogStorage",
    "ConsolidatedSqliteEventLogStorage",
    "SqliteScheduleStorage",
)
_ENDINGS = {
    "run_storage": ("history",),
    "event_log_storage": ("history/runs", "history"),
    "schedule_storage": ("schedules",),
}
_LIBPQ_SCHEME = "postgresql"


@record
class SqliteLocation:
    """A SQLite file."""

    path: Path

    def __str__(self) -> str:
        return f"SQLite, {self.path}"


@record
class PostgresLocation:
    """A Postgres database. `str()` of it shows no password.

    Attributes:
        host: name, address, or the folder of a socket; several with commas.
        port: its port.
        user, password: plain, not escaped.
        dbname: the database.
        params: further parameters of the connection (`sslmode`, ...).
        scheme: as configured (`postgresql+psycopg2`); `url()` is always libpq's own.
        schema: the schema that holds our tables.
        pool_size, max_overflow: of a process that keeps a pool.
        direct_url: a connection that leads through no pooler, for LISTEN; None if there is none.
        autocreate: whether schema and tables are made in an empty database.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    dbname: str
    params: Mapping[str, str] = field(default_factory=dict)
    scheme: str = _LIBPQ_SCHEME
    schema: str = "runplane"
    pool_size: int = 5
    max_overflow: int = 5
    direct_url: str | None = field(default=None, repr=False)
    autocreate: bool = True

    def url(self) -> str:
        """The connection URL for libpq, every part of it escaped. It holds the password."""
        credentials = quote(self.user, safe="") + (f":{quote(self.password, safe='')}" if self.password else "")
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else quote(self.host, safe="[]:,")
        params = f"?{urlencode(self.params, quote_via=quote)}" if self.params else ""
        at = f"{credentials}@" if credentials else ""
        return f"{_LIBPQ_SCHEME}://{at}{host}:{self.port}/{quote(self.dbname, safe='')}{params}"

    def __str__(self) -> str:
        return f"Postgres, database {self.dbname} at {self.host}:{self.port}, schema {self.schema}"


@record
class CustomStorage:
    """A third party's storage: the part, to be built from its class."""

    part: Part

    def __str__(self) -> str:
        return f"{self.part.module}:{self.part.class_name}"


StorageLocation = SqliteLocation | PostgresLocation | CustomStorage


def storage_location(config: InstanceConfig, env: Mapping[str, str]) -> StorageLocation:
    """Where this instance keeps runs and events, with environment sources resolved.

    Raises:
        ConfigErrors: wrong config, unset variables, or several databases.
        UnsupportedError: a storage that is known and not built yet (MySQL, an `auth_provider`).
    """
    found = {name: _locate(part, env) for name, part in storage_parts(config.parts).items()}
    places = {str(location): location for location in found.values()}
    if len(places) > 1:
        problems = Problems()
        _several(problems, {name: str(location) for name, location in found.items()})
        raise ConfigErrors(problems.found, where=config.where)
    return next(iter(places.values()))


def artifact_folder(config: InstanceConfig, env: Mapping[str, str]) -> Path:
    """The folder for what is kept on this machine (outputs, by default also logs). Raises ConfigErrors."""
    part = config.local_artifact_storage
    known = part.known
    if known is None or known.part != part.name:
        raise UnsupportedError(
            "only Dagster's own LocalArtifactStorage can stand here",
            where=f"{config.where}: {part.name}",
            got=str(part.pointer),
        )
    resolved = resolve(known.schema, part.config, env, where=config.where, path=part.path)
    return Path(resolved["base_dir"])


def storage_parts(parts: Mapping[str, Part]) -> dict[str, Part]:
    """The parts that name a database: the three inside a composite storage, else `storage` alone."""
    storage = parts["storage"]
    if storage.class_name != "CompositeStorage" or storage.known is None:
        return {"storage": storage}
    if not isinstance(storage.source, str) and all(name in parts for name in STORAGE_TRIO):
        return {name: parts[name] for name in STORAGE_TRIO}
    known = storage.known
    resolve(known.schema, storage.config, {}, where=storage.where, path=storage.path)
    return {name: _nested(name, storage.config[name], storage) for name in STORAGE_TRIO}


def refuse_other_storage(found: InstanceConfig, launched: InstanceConfig, run_id: str) -> None:
    """Refuse a worker whose file names another storage than its run was launched with.

    Raises:
        StorageChangedError: it does.
    """
    named, expected = (
        {name: (part.class_name, dict(part.config)) for name, part in storage_parts(config.parts).items()}
        for config in (found, launched)
    )
    if named != expected:
        raise StorageChangedError(
            "the storage section is not the one that the run was launched with",
            where=f"{found.where}, run {run_id}",
            hint="A run stays in its database: put the section back, or launch the run again.",
        )


def _nested(name: str, data: Mapping[str, Any], storage: Part) -> Part:
    path = f"{storage.path}.{name}"
    return Part(name, data["module_name"], data["class_name"], data["config_yaml"], path, storage.where)


def check_one_database(parts: Mapping[str, Part], problems: Problems) -> None:
    """Record a storage that is spread over several databases, as far as that shows without the environment."""
    found = {name: _plain_place(part) for name, part in storage_parts(parts).items()}
    if None not in found.values() and len(set(found.values())) > 1:
        _several(problems, {name: str(place) for name, place in found.items()})


def _several(problems: Problems, places: Mapping[str, str]) -> None:
    problems.at("storage").add(
        "names several databases: " + "; ".join(f"{name}: {place}" for name, place in places.items()),
        expected="one database for runs, events and schedules",
    )


def _plain_place(part: Part) -> str | None:
    """What `str(location)` will say, or None while it depends on the environment or is a third party's."""
    config: Mapping[str, Any] = (
        POSTGRES.fill(part.config, hide=False) if part.class_name in _POSTGRES_CLASSES else part.config
    )
    deciding = [config.get("base_dir"), config.get("postgres_url"), (config.get("runplane") or {}).get("schema")]
    deciding += [(config.get("postgres_db") or {}).get(key) for key in ("hostname", "port", "db_name")]
    if part.known is None or any(env_name(value) is not None for value in deciding):
        return None
    without_env = {key: _without_env(value) for key, value in part.config.items()}
    try:
        return str(_locate(Part(part.name, part.module, part.class_name, without_env, part.path, part.where), {}))
    except RunplaneError:
        return None  # it can not be built yet, which is said where it is built


def _without_env(value: Any) -> Any:
    if env_name(value) is not None:
        return ""
    return {key: _without_env(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _locate(part: Part, env: Mapping[str, str]) -> StorageLocation:
    known = part.known
    if known is None:
        return CustomStorage(part)
    where = f"{part.where}: {part.name}"
    if part.class_name in ("LegacyRunStorage", "LegacyEventLogStorage", "LegacyScheduleStorage"):
        inner = resolve(known.schema, part.config, env, where=part.where, path=part.path)
        return CustomStorage(
            Part("storage", inner["module_name"], inner["class_name"], inner["config_yaml"], part.path, part.where)
        )
    if part.class_name not in (*SQLITE_CLASSES, *_POSTGRES_CLASSES):
        known.target(where=where)
    resolved = resolve(known.schema, part.config, env, where=part.where, path=part.path)
    if part.class_name in SQLITE_CLASSES:
        return SqliteLocation(_base_folder(part.name, resolved["base_dir"]) / SQLITE_FILE)
    return _postgres(resolved, where)


def _base_folder(name: str, folder: str) -> Path:
    """The home that Dagster's folder of one of the three SQLite storages lies in; the folder itself if it has another form."""
    path = Path(folder)
    for ending in _ENDINGS.get(name, ()):
        depth = ending.count("/") + 1
        if path.parts[-depth:] == tuple(ending.split("/")) and len(path.parts) > depth:
            return path.parents[depth - 1]
    return path


def _postgres(config: Mapping[str, Any], where: str) -> PostgresLocation:
    if "auth_provider" in config:
        (provider,) = config["auth_provider"]
        raise UnsupportedError(
            f"signing in to Postgres with auth_provider {provider} is known and not built yet",
            where=where,
            hint="Use a password for now, as {env: NAME}.",
        )
    ours = config.get("runplane") or {}
    further = {
        "schema": ours.get("schema", "runplane"),
        "pool_size": ours.get("pool_size", 5),
        "max_overflow": ours.get("max_overflow", 5),
        "direct_url": ours.get("direct_url"),
        "autocreate": config["should_autocreate_tables"],
    }
    if "postgres_url" in config:
        return PostgresLocation(**_of_url(config["postgres_url"], where), **further)
    db = config["postgres_db"]
    return PostgresLocation(
        host=db["hostname"],
        port=db["port"],
        user=db["username"],
        password=db["password"],
        dbname=db["db_name"],
        params={key: _param(value) for key, value in db["params"].items()},
        scheme=db["scheme"],
        **further,
    )


def _param(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_url(url: str, where: str) -> dict[str, Any]:
    """The parts of a connection URL. The message never shows the URL."""
    try:
        parts = urlsplit(url)
        hosts = parts.netloc.rpartition("@")[2]
        host = unquote(hosts) if "," in hosts else unquote(parts.hostname or "")
        port = 5432 if "," in hosts else parts.port or 5432
    except ValueError:
        parts, host, port = urlsplit(""), "", 0
    if not parts.scheme.startswith("postgres") or not parts.path.strip("/") or not port:
        raise RunplaneError(
            "postgres_url is not a connection URL of Postgres",
            where=where,
            got="text that reads otherwise",
            expected="postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with : / @ # ? in user and password percent-encoded",
        )
    params = dict(parse_qsl(parts.query, keep_blank_values=True))
    return {
        "host": params.pop("host", "") or host or "localhost",
        "port": int(params.pop("port", port)) if str(params.get("port", port)).isdigit() else port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": unquote(parts.path.strip("/")),
        "params": params,
        "scheme": parts.scheme,
    }
