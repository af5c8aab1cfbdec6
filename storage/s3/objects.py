"""The objects of a bucket: the only module that loads the S3 client (obstore).

obstore runs threads, which do not survive a fork: this is loaded in the uploader and in processes that read logs, never where steps
run. Every failure of the service is a ``LogsUnavailableError``; its text holds no credentials.
Source: https://developmentseed.org/obstore/latest/api/store/aws/
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from ..compute_logs import LogsUnavailableError
from . import profile
from .settings import S3Settings

PART_BYTES = 5 << 20
"""S3 takes no smaller part of a multipart upload, but the last."""
MOST_PARTS = 10_000
PARTS_AT_ONCE = 2
DELETED_AT_ONCE = 500
_RETRIES = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
"""Few: who calls knows better how long it may take."""
_LONGEST_MESSAGE = 600


class Objects:
    """Objects of one bucket.

    Args:
        settings: which bucket, and how.

    Raises:
        LogsUnavailableError: the client does not take the settings.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        with self._failures("the settings of the bucket"):
            self._store = S3Store(
                settings.bucket,
                config=dict(settings.config),  # type: ignore[arg-type]
                client_options=dict(settings.http),  # type: ignore[arg-type]
                retry_config=_RETRIES,  # type: ignore[arg-type]
                credential_provider=_credentials(settings),
            )

    def put(self, path: str, data: bytes) -> None:
        """Store an object whole, in the place of an older one. Raises LogsUnavailableError."""
        with self._failures(path):
            obstore.put(self._store, path, data, use_multipart=False, **self._written_with())

    def put_parts(self, path: str, size: int, parts: Iterator[bytes]) -> None:
        """Store an object of `size` bytes in parts, a few of them in memory. Raises LogsUnavailableError."""
        with self._failures(path):
            obstore.put(
                self._store,
                path,
                parts,
                use_multipart=True,
                chunk_size=max(PART_BYTES, -(-size // MOST_PARTS)),
                max_concurrency=PARTS_AT_ONCE,
                **self._written_with(),
            )

    def get(self, path: str, offset: int, max_bytes: int) -> tuple[bytes, int] | None:
        """Bytes of an object from `offset`, and its size; None when it is not there. Raises LogsUnavailableError."""
        with self._failures(path):
            try:
                size = obstore.head(self._store, path)["size"]
                end = min(size, offset + max_bytes)
                if end <= offset:
                    return b"", size
                return bytes(obstore.get_range(self._store, path, start=offset, end=end)), size
            except (NotFoundError, FileNotFoundError):
                return None

    def sizes(self, folder: str, names_from: str) -> dict[str, int]:
        """Path and size of the objects in `folder` whose name begins with `names_from`. Raises LogsUnavailableError."""
        found: dict[str, int] = {}
        start = f"{folder}/{names_from}"
        with self._failures(folder):
            for page in obstore.list(self._store, f"{folder}/", offset=start):
                for meta in page:
                    if not meta["path"].startswith(start):
                        return found
                    found[meta["path"]] = meta["size"]
        return found

    def delete(self, paths: list[str]) -> None:
        """Remove objects; one that is not there is no error. Raises LogsUnavailableError."""
        for at in range(0, len(paths), DELETED_AT_ONCE):
            with self._failures(paths[at]):
                obstore.delete(self._store, paths[at : at + DELETED_AT_ONCE])

    def _written_with(self) -> dict[str, Any]:
        return {"attributes": dict(self._settings.attributes) or None, "tags": dict(self._settings.tags) or None}

    @contextmanager
    def _failures(self, what: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise LogsUnavailableError(
                self._without_secrets(f"{type(error).__name__}: {error}"), where=f"s3://{self._settings.bucket}: {what}"
            ) from None

    def _without_secrets(self, text: str) -> str:
        in_environment = (os.environ.get(f"AWS_{name}", "") for name in _IN_ENVIRONMENT)
        text = _in_short(text)
        for secret in (*self._settings.secrets, *in_environment):
            if secret:
                text = text.replace(secret, "<hidden>")
        return text


_IN_ENVIRONMENT = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
_ANSWER = re.compile(r"<\?xml.*?<Code>(.*?)</Code>.*?<Message>(.*?)</Message>.*", re.DOTALL)
_DURATION = re.compile(r" in [0-9.]+\S?s\b")


def _in_short(text: str) -> str:
    """What the client says, without what is another text each time (durations, request ids) and without its inner workings."""
    said = _ANSWER.sub(r"\1: \2", _DURATION.sub("", text.partition("\n\nDebug source")[0]))
    return said if len(said) <= _LONGEST_MESSAGE else f"{said[:_LONGEST_MESSAGE]} ..."


def _credentials(settings: S3Settings) -> Any:
    """None: the client looks into its settings, the environment, and the services of pods and machines. A profile's files are not
    among these."""
    if settings.has_credentials or os.environ.get("AWS_ACCESS_KEY_ID") or not profile.files():
        return None
    return profile.ProfileCredentials()
