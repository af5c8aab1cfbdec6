"""fsspec's file system for ``s3://``, by obstore: importing this registers it.

The extra ``s3`` installs obstore for the logs already. s3fs, fsspec's own choice, wants a botocore that does not go with the
kubernetes client; where it is installed all the same it is used, and this is not.

Source: https://developmentseed.org/obstore/latest/api/fsspec/, https://s3fs.readthedocs.io/en/latest/api.html (the options' names)
"""

from __future__ import annotations

import os
from typing import Any

import fsspec
from obstore.fsspec import FsspecStore

PROTOCOLS = ("s3", "s3a")
_S3FS_WORDS = {
    "key": "access_key_id",
    "secret": "secret_access_key",
    "token": "session_token",
    "endpoint_url": "endpoint",
    "anon": "skip_signature",
}
_LISTING_OPTIONS = frozenset({"use_listings_cache", "listings_expiry_time", "max_paths", "skip_instance_cache"})
"""Options of caches that s3fs has and obstore has not: nothing is cached."""


class S3Files(FsspecStore):
    """Objects of S3 as files. Takes obstore's options and those of s3fs that mean the same; AWS_* variables fill in the rest."""

    protocol = "s3"

    def __init__(self, *args: Any, **options: Any) -> None:
        options |= options.pop("client_kwargs", {})
        known = {_S3FS_WORDS.get(name, name): value for name, value in options.items() if name not in _LISTING_OPTIONS}
        endpoint = known.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            known["endpoint"] = endpoint
            known.setdefault("client_options", {"allow_http": endpoint.startswith("http://")})
        super().__init__(*args, **known)


for _protocol in PROTOCOLS:
    fsspec.register_implementation(_protocol, S3Files, clobber=True)
