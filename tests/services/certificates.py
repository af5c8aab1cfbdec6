"""Certificates for servers of tests, made with ``openssl``."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """Of a server on ``localhost``, and on no other name. `authority`: who trusts this file trusts the server, and nobody else does."""

    authority: Path
    certificate: Path
    key: Path


def made_certificate(folder: Path) -> Certificate:
    """An authority of its own, and a certificate that it signed."""
    made = Certificate(folder / "authority.crt", folder / "server.crt", folder / "server.key")
    authority_key = folder / "authority.key"
    _openssl(authority_key, made.authority, "/CN=an authority of tests")
    signs = ["-CA", str(made.authority), "-CAkey", str(authority_key)]
    is_none = ["-addext", "basicConstraints=critical,CA:FALSE"]
    _openssl(made.key, made.certificate, "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", *is_none, *signs)
    return made


def _openssl(key: Path, certificate: Path, subject: str, *words: str) -> None:
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2", "-subj", subject]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *kind, *files, *words], check=True, capture_output=True)
