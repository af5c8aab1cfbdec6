"""Dagster's two configurations of logs in S3, and what of them can not be used."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from runplane.errors import ConfigErrors, UnsupportedError
from runplane.instance.instance import Instance
from runplane.storage.s3.layout import Layout, logs_folder
from runplane.storage.s3.settings import UPLOAD_EXTRA_ARGS, S3Settings


def settings(package: str, **config: Any) -> S3Settings:
    part = {"module": f"{package}.s3.compute_log_manager", "class": "S3ComputeLogManager"}
    document = repr({"compute_logs": {**part, "config": {"bucket": "b", **config}}})
    with Instance.from_yaml(document) as instance:
        made: Any = instance.logs
    found: S3Settings = made.settings
    return found


@pytest.mark.parametrize("package", ["dagster_aws", "dagster_obstore"])
def test_what_both_call_alike(package: str) -> None:
    usual = settings(package)
    chosen = settings(package, prefix="/a//b/", upload_interval=30, skip_empty_files=True, show_url_only=True)

    assert (usual.folder, usual.upload_every_s, usual.skip_empty, usual.url_only) == (
        "dagster/storage",
        5,
        False,
        False,
    )
    assert (chosen.folder, chosen.upload_every_s, chosen.skip_empty, chosen.url_only) == ("a/b/storage", 30, True, True)


def test_the_words_of_dagster_obstore() -> None:
    found = settings(
        "dagster_obstore", access_key_id="root", secret_access_key="r/o:ot", endpoint="http://minio:9000", region="default",
        allow_http=True, allow_invalid_certificates=True, timeout="5s", extra_s3_args={"virtual_hosted_style_request": True},
    )  # fmt: skip

    assert found.config == {
        "access_key_id": "root",
        "secret_access_key": "r/o:ot",
        "endpoint": "http://minio:9000",
        "region": "default",
        "virtual_hosted_style_request": True,
    }
    assert found.http == {"timeout": "5s", "allow_http": True, "allow_invalid_certificates": True}
    assert found.secrets == ("root", "r/o:ot")


def test_keys_among_the_extra_arguments_are_secrets_too() -> None:
    found = settings("dagster_obstore", extra_s3_args={"aws_access_key_id": "id", "AWS_SESSION_TOKEN": "token"})

    assert found.secrets == ("id", "token")
    assert found.has_credentials


def test_the_words_of_dagster_aws(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----")
    found = settings(
        "dagster_aws", region="eu-west-1", endpoint_url="https://s3.example.org", verify_cert_path=str(authority),
        upload_extra_args={
            "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/k", "Metadata": {"team": "x"}, "Tagging": "a=1&b=2 3",
            "StorageClass": "STANDARD_IA", "ContentType": "text/plain",
        },
    )  # fmt: skip

    assert found.config == {
        "region": "eu-west-1",
        "endpoint": "https://s3.example.org",
        "server_side_encryption": "aws:kms",
        "sse_kms_key_id": "alias/k",
    }
    assert found.http == {"timeout": "60s", "root_certificate": "-----BEGIN CERTIFICATE-----"}
    assert found.attributes == {"Storage-Class": "STANDARD_IA", "Content-Type": "text/plain", "team": "x"}
    assert found.tags == {"a": "1", "b": "2 3"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"endpoint_url": "http://s3:9000"}, {"timeout": "60s", "allow_http": True}),
        ({"use_ssl": False}, {"timeout": "60s", "allow_http": True}),
        ({"verify": False}, {"timeout": "60s", "allow_invalid_certificates": True}),
        ({}, {"timeout": "60s"}),
    ],
)
def test_plain_http_and_certificates_of_dagster_aws(config: dict[str, Any], expected: dict[str, Any]) -> None:
    assert settings("dagster_aws", **config).http == expected


def test_an_extra_argument_that_can_not_be_sent_is_an_error_and_not_dropped() -> None:
    with pytest.raises(ConfigErrors, match="ACL"):
        settings("dagster_aws", upload_extra_args={"ACL": "bucket-owner-full-control"})


def test_every_extra_argument_that_can_be_sent_loads() -> None:
    values = {"ChecksumAlgorithm": "SHA256", "RequestPayer": "requester", "Metadata": {}}

    settings("dagster_aws", upload_extra_args={name: values.get(name, "x") for name in UPLOAD_EXTRA_ARGS})


def test_a_certificate_file_that_is_not_there_is_named() -> None:
    with pytest.raises(UnsupportedError, match=r"verify_cert_path.*no\.pem"):
        settings("dagster_aws", verify_cert_path="no.pem")


def test_without_the_client_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "obstore" else find(name))

    with pytest.raises(UnsupportedError, match=r"pip install 'runplane\[s3\]'"):
        settings("dagster_obstore")


def test_names_of_objects() -> None:
    at = Layout(logs_folder("some/prefix"), ("run", "compute_logs", "abcdefgh"))
    folder = "some/prefix/storage/run/compute_logs"

    assert at.whole("out") == f"{folder}/abcdefgh.out"
    assert at.piece("err", 0) == f"{folder}/abcdefgh.err.partial"
    assert at.piece("out", 1 << 21) == f"{folder}/abcdefgh.out.partial.000000002097152"
    assert at.mark == f"{folder}/abcdefgh.complete"
    assert at.offset_of("out", at.piece("out", 1 << 21)) == 1 << 21
    assert at.offset_of("out", at.piece("out", 0)) == 0
    assert at.offset_of("out", at.piece("err", 0)) is None
    assert at.offset_of("out", at.whole("out")) is None
