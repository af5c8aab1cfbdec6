"""The configuration of each class of ``dagster_classes.json``, under the name that stands there.

Keys, defaults and required keys are those of Dagster 1.13.27 (a test beside a real Dagster holds them together); what is
stricter or wider here is listed in ``docs/differences.md``. Sources: https://docs.dagster.io/deployment/oss/dagster-yaml,
https://docs.dagster.io/api/libraries/dagster-celery, dagster-postgres, dagster-aws and
https://docs.dagster.io/integrations/libraries/obstore.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config.schema import (
    EMPTY,
    AnyScalar,
    Bool,
    Field,
    Float,
    FreeMap,
    Int,
    ListOf,
    MapOf,
    OneOrMany,
    Schema,
    Selector,
    Shape,
    Text,
)
from ..errors import Problems

_TEXT = Text()
_NAME = Text(empty=False)
_SECRET = Text(secret=True)
_URL = Text(url=True)
_SECONDS = Int(minimum=0)
_COUNT = Int(minimum=1)

# ------------------------------------------------------------------------------------------------- storage

_BASE_DIR = Shape({"base_dir": Field(_NAME, required=True)})


def _one_address(value: Mapping[str, Any], problems: Problems) -> None:
    given = [key for key in ("postgres_url", "postgres_db") if key in value]
    if len(given) != 1:
        problems.add("one address is wanted", got=" and ".join(given) or "none", expected="postgres_url or postgres_db")


_AUTH_PROVIDER = Selector(
    {
        "azure_wif": Shape(
            {"scope": Field(_TEXT, default="https://ossrdbms-aad.database.windows.net/.default")}, nullable=True
        ),
        "gcp_wif": Shape({}, nullable=True),
        "aws_wif": Shape({"region": Field(_NAME, required=True)}),
    }
)
RUNPLANE_POSTGRES = Shape(
    {
        "pool_size": Field(_COUNT, default=5),
        "max_overflow": Field(Int(minimum=0), default=5),
        "direct_url": _URL,
        "schema": Field(_NAME, default="runplane"),
    }
)
"""Our own key inside the configuration of a Postgres storage."""
POSTGRES = Shape(
    {
        "postgres_url": _URL,
        "postgres_db": Shape(
            {
                "username": Field(_TEXT, required=True),
                "password": Field(_SECRET, default=""),
                "hostname": Field(_NAME, required=True),
                "db_name": Field(_NAME, required=True),
                "port": Field(Int(minimum=1, maximum=65535), default=5432),
                "params": Field(MapOf(AnyScalar()), default={}),
                "scheme": Field(_NAME, default="postgresql"),
            }
        ),
        "auth_provider": _AUTH_PROVIDER,
        "should_autocreate_tables": Field(Bool(), default=True),
        "runplane": RUNPLANE_POSTGRES,
    },
    rules=(_one_address,),
    misplaced=dict.fromkeys(("username", "password", "hostname", "db_name", "port", "params", "scheme"), "postgres_db")
    | dict.fromkeys(("pool_size", "max_overflow", "direct_url", "schema"), "runplane"),
)
MYSQL = Selector(
    {
        "mysql_url": _URL,
        "mysql_db": Shape(
            {
                "username": Field(_TEXT, required=True),
                "password": Field(_SECRET, required=True),
                "hostname": Field(_NAME, required=True),
                "db_name": Field(_NAME, required=True),
                "port": Field(Int(minimum=1, maximum=65535), default=3306),
            }
        ),
    }
)
_NESTED = Shape(
    {
        "module_name": Field(_NAME, required=True),
        "class_name": Field(_NAME, required=True),
        "config_yaml": Field(Text(secret=True), required=True),
    }
)
_COMPOSITE = Shape(
    {name: Field(_NESTED, required=True) for name in ("run_storage", "event_log_storage", "schedule_storage")}
)

# -------------------------------------------------------------------------------------------- compute logs

_LOCAL_COMPUTE_LOGS = Shape({"base_dir": Field(_NAME, required=True), "polling_timeout": Float(minimum=0)})
_UPLOADS: dict[str, Field | Schema] = {
    "local_dir": _NAME,
    "prefix": Field(_TEXT, default="dagster"),
    "skip_empty_files": Field(Bool(), default=False),
    "upload_interval": Field(Int(minimum=1, nullable=True), default=None),
    "show_url_only": Field(Bool(), default=False),
}
# Of boto3's ExtraArgs those that the S3 client used here can send (storage/s3/settings.py). To drop an ACL or a customer's key in
# silence would be worse than an error.
_UPLOAD_EXTRA_ARGS = Shape(
    {
        **dict.fromkeys(
            ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "SSEKMSKeyId"),
            _TEXT,
        ),
        **dict.fromkeys(("ServerSideEncryption", "StorageClass", "Tagging"), _TEXT),
        "ChecksumAlgorithm": Text(choices=("SHA256",)),
        "Metadata": MapOf(Text()),
        "RequestPayer": Text(choices=("requester",)),
    }
)
_AWS_S3 = Shape(
    {
        **_UPLOADS,
        "bucket": Field(_NAME, required=True),
        "use_ssl": Field(Bool(), default=True),
        "verify": Field(Bool(), default=True),
        "verify_cert_path": _TEXT,
        "endpoint_url": _URL,
        "upload_extra_args": _UPLOAD_EXTRA_ARGS,
        "region": _TEXT,
    }
)
_OBSTORE: dict[str, Field | Schema] = {
    **_UPLOADS,
    "timeout": Field(_TEXT, default="60s"),
    "allow_http": Field(Bool(), default=False),
    "allow_invalid_certificates": Field(Bool(), default=False),
}
_OBSTORE_S3 = Shape(
    {
        **_OBSTORE,
        "bucket": Field(_NAME, required=True),
        "access_key_id": _SECRET,
        "secret_access_key": _SECRET,
        "endpoint": _URL,
        "region": _TEXT,
        "extra_s3_args": FreeMap(secret=True),
    }
)
_OBSTORE_GCS = Shape(
    {
        **_OBSTORE,
        "bucket": Field(_NAME, required=True),
        "service_account": _TEXT,
        "service_account_key": _SECRET,
        "service_account_path": _TEXT,
    }
)
_OBSTORE_AZURE = Shape(
    {
        **_OBSTORE,
        "storage_account": Field(_NAME, required=True),
        "container": Field(_NAME, required=True),
        "client_id": _TEXT,
        "client_secret": _SECRET,
        "tenant_id": _TEXT,
        "sas_token": _SECRET,
        "access_key": _SECRET,
        "use_azure_cli": Bool(),
        "extra_azure_args": FreeMap(secret=True),
    }
)

# --------------------------------------------------------------------------------------- coordinator, queue


def _whole_or_applied(value: Mapping[str, Any], problems: Problems) -> None:
    if value["applyLimitPerUniqueValue"] is False:
        problems.at("applyLimitPerUniqueValue").add(
            "false has no meaning here", expected="true, or no `value` at all to count all values together"
        )


TAG_CONCURRENCY_LIMITS = ListOf(
    Shape(
        {
            "key": Field(_NAME, required=True),
            "value": OneOrMany(
                Text(), Shape({"applyLimitPerUniqueValue": Field(Bool(), required=True)}, rules=(_whole_or_applied,))
            ),
            "limit": Field(Int(minimum=0), required=True),
        }
    ),
    nullable=True,
)
RUN_QUEUE = Shape(
    {
        "max_concurrent_runs": Int(minimum=-1),
        "tag_concurrency_limits": TAG_CONCURRENCY_LIMITS,
        "dequeue_interval_seconds": _COUNT,
        "dequeue_use_threads": Bool(),
        "dequeue_num_workers": _COUNT,
        "max_user_code_failure_retries": Field(Int(minimum=0), default=0),
        "user_code_failure_retry_delay": Field(_SECONDS, default=60),
        "block_op_concurrency_limited_runs": Field(
            Shape({"enabled": Bool(), "op_concurrency_slot_buffer": Int(minimum=0)}), default={}
        ),
    },
    misplaced={
        "default_op_concurrency_limit": "concurrency",
        "pools": "concurrency",
        "applyLimitPerUniqueValue": "tag_concurrency_limits[].value",
    },
)

# -------------------------------------------------------------------------------------------------- Celery

CELERY: dict[str, Field | Schema] = {
    "broker": Text(nullable=True, url=True),
    "backend": Field(Text(nullable=True, url=True), default="rpc://"),
    "include": ListOf(_NAME),
    "config_source": FreeMap(nullable=True, secret=True),
}
# ------------------------------------------------------------------------------------------------ the table

SCHEMAS: Mapping[str, Schema] = {
    "none": EMPTY,
    "base_dir": _BASE_DIR,
    "postgres": POSTGRES,
    "mysql": MYSQL,
    "composite_storage": _COMPOSITE,
    "nested_class": _NESTED,
    "local_compute_logs": _LOCAL_COMPUTE_LOGS,
    "aws_s3_compute_logs": _AWS_S3,
    "obstore_s3_compute_logs": _OBSTORE_S3,
    "obstore_gcs_compute_logs": _OBSTORE_GCS,
    "obstore_azure_compute_logs": _OBSTORE_AZURE,
    "run_queue": RUN_QUEUE,
    "scheduler": Shape(
        {"max_catchup_runs": Field(Int(minimum=0), default=5), "max_tick_retries": Field(Int(minimum=0), default=0)}
    ),
    "env_file": Shape({"base_dir": _NAME}),
    "per_project_env_file": Shape({"location_paths": Field(MapOf(Text()), required=True)}),
    "upath_defs_state": Shape({"base_path": Field(_NAME, required=True), "storage_options": FreeMap(secret=True)}),
    "celery_run_launcher": Shape({**CELERY, "default_queue": Field(_NAME, default="dagster")}),
}
