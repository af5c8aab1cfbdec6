"""The API server as a pod reaches it: with its service account's token, which the kubelet renews in a file.

The official client reads the same files. But importing it takes the worker of a run half of the time in which it can order its first step
(what kubeconfig files need: OAuth, requests, PyYAML, pydantic), so it does that only where there is a proxy in between.

Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.pointer import ClassPointer, load_class
from ..errors import NotFoundError
from .connections import urllib3

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_READ_EVERY_S = 60.0
"""The kubelet renews a token that has a fifth of its hour left. Source: https://kubernetes.io/docs/concepts/storage/projected-volumes/"""
_HINT = "Outside of a pod set load_incluster_config: false, and kubeconfig_file if it is not ~/.kube/config."
_PROXIED = ClassPointer(f"{__package__}.official_client", "ProxiedConnections")
_PROXIES = ("https_proxy", "all_proxy")


class PodAccount:
    """An ``Endpoint``.

    Args:
        folder: with ``token`` and ``ca.crt``.
        environ: names the server.

    Raises:
        NotFoundError: this is no pod, or it has no service account.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        host, port = (self._named(environ, name) for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"))
        self.host = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self._has_proxy = any(name.lower() in _PROXIES and value for name, value in environ.items())
        self._content("ca.crt")
        self.ssl_ca_cert: str | None = str(folder / "ca.crt")
        self._token, self._read_at = self._content("token"), time.monotonic()

    def pool(self, size: int) -> urllib3.PoolManager:
        """See ``Endpoint``."""
        if self._has_proxy:
            proxied: Any = load_class(_PROXIED, where=self.host)
            found: urllib3.PoolManager = proxied(self.host, self.ssl_ca_cert).pool(size)
            return found
        return urllib3.PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=self.ssl_ca_cert, maxsize=size)

    def headers(self) -> Mapping[str, str]:
        """See ``Endpoint``."""
        if time.monotonic() - self._read_at >= TOKEN_READ_EVERY_S:
            self._token, self._read_at = self._content("token"), time.monotonic()
        return {"authorization": f"Bearer {self._token}"}

    def _named(self, environ: Mapping[str, str], name: str) -> str:
        value = environ.get(name)
        if not value:
            raise self._no_pod(f"{name} is not set")
        return value

    def _content(self, name: str) -> str:
        file = self._folder / name
        try:
            content = file.read_text().strip()
        except OSError as error:
            raise self._no_pod(f"{file} can not be read: {error.strerror}") from error
        if not content:
            raise self._no_pod(f"{file} is empty")
        return content

    def _no_pod(self, why: str) -> NotFoundError:
        where = f"service account in {self._folder}"
        return NotFoundError(f"this process can not reach a cluster as a pod: {why}", where=where, hint=_HINT)
