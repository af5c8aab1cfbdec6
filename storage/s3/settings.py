"""Dagster's two configurations of logs in S3, as one: ``dagster_aws`` (boto3's words) and ``dagster_obstore`` (the words of the
client that is used here).

Source: https://docs.dagster.io/api/libraries/dagster-aws, https://docs.dagster.io/api/libraries/dagster-obstore
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any
from urllib.parse import parse_qsl

from ...serdes.record import record
from .layout import logs_folder

UPLOAD_EVERY_S = 5
"""Seconds between two uploads of a log that grows, when the configuration names none."""
REQUEST_TIMEOUT = "60s"
_ATTRIBUTES = {
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language",
    "ContentType": "Content-Type",
    "StorageClass": "Storage-Class",
}
_CLIENT_CONFIG = {
    "ServerSideEncryption": "server_side_encryption",
    "SSEKMSKeyId": "sse_kms_key_id",
    "ChecksumAlgorithm": "checksum_algorithm",
}
_SECRETS = ("access_key_id", "secret_access_key", "session_token")


@record
class S3Settings:
    """Where logs are kept, and how. JSON values only: it travels to the uploader, through a pipe.

    Attributes:
        bucket: the bucket.
        folder: prefix of all logs in it.
        config: the client's settings of the bucket: ``endpoint``, ``region``, credentials, encryption.
        http: the client's settings of connections: ``timeout``, ``allow_http``, ``root_certificate``.
        attributes: headers and metadata of each object.
        tags: tags of each object.
        skip_empty: streams in which nothing was printed have no object.
        upload_every_s: seconds between two uploads of a log that grows.
        url_only: readers are told where the log is instead of what is in it.
    """

    bucket: str
    folder: str
    config: Mapping[str, Any] = field(default_factory=dict)
    http: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    skip_empty: bool = False
    upload_every_s: float = UPLOAD_EVERY_S
    url_only: bool = False

    @classmethod
    def of_dagster_aws(cls, config: Mapping[str, Any]) -> S3Settings:
        """From the checked configuration of ``dagster_aws``' S3ComputeLogManager, environment sources resolved.

        Raises:
            OSError: the file of ``verify_cert_path`` can not be read.
        """
        region, endpoint = config.get("region"), config.get("endpoint_url")
        extra = dict(config.get("upload_extra_args") or {})
        if not endpoint and not config["use_ssl"]:
            endpoint = f"http://s3.{region}.amazonaws.com" if region else "http://s3.amazonaws.com"
        http: dict[str, Any] = {"timeout": REQUEST_TIMEOUT}
        if endpoint and endpoint.startswith("http://"):
            http["allow_http"] = True
        if not config["verify"]:
            http["allow_invalid_certificates"] = True
        elif config.get("verify_cert_path"):
            with open(config["verify_cert_path"], encoding="ascii") as file:
                http["root_certificate"] = file.read()
        client = {"region": region, "endpoint": endpoint, "request_payer": "RequestPayer" in extra or None}
        client |= {ours: extra.get(theirs) for theirs, ours in _CLIENT_CONFIG.items()}
        return cls(
            config={key: value for key, value in client.items() if value is not None},
            http=http,
            attributes={ours: str(extra[theirs]) for theirs, ours in _ATTRIBUTES.items() if theirs in extra}
            | {key: str(value) for key, value in (extra.get("Metadata") or {}).items()},
            tags=dict(parse_qsl(extra.get("Tagging") or "")),
            **_shared(config),
        )

    @classmethod
    def of_dagster_obstore(cls, config: Mapping[str, Any]) -> S3Settings:
        """From the checked configuration of ``dagster_obstore``' S3ComputeLogManager, environment sources resolved."""
        named = ("access_key_id", "secret_access_key", "endpoint", "region")
        client = {key: config[key] for key in named if config.get(key)}
        http = {key: config[key] for key in ("timeout", "allow_http", "allow_invalid_certificates") if config.get(key)}
        return cls(config={**client, **(config.get("extra_s3_args") or {})}, http=http, **_shared(config))

    @property
    def url(self) -> str:
        """``s3://bucket/folder``, for people."""
        return f"s3://{self.bucket}/{self.folder}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that no message may hold."""
        return tuple(str(value) for key, value in self.config.items() if value and _plain(key) in _SECRETS)

    @property
    def has_credentials(self) -> bool:
        """Whether the configuration itself holds the keys, or says that none are needed."""
        return bool({_plain(key) for key, value in self.config.items() if value} & {"access_key_id", "skip_signature"})

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


UPLOAD_EXTRA_ARGS = (*sorted(_ATTRIBUTES), *sorted(_CLIENT_CONFIG), "Metadata", "RequestPayer", "Tagging")
"""Which of boto3's ``ExtraArgs`` can be used."""


def _plain(key: str) -> str:
    """The client takes its keys with and without a prefix."""
    return key.lower().removeprefix("aws_")


def _shared(config: Mapping[str, Any]) -> dict[str, Any]:
    """What both configurations call alike."""
    return {
        "bucket": config["bucket"],
        "folder": logs_folder(config["prefix"]),
        "skip_empty": bool(config["skip_empty_files"]),
        "upload_every_s": config.get("upload_interval") or UPLOAD_EVERY_S,
        "url_only": bool(config["show_url_only"]),
    }
