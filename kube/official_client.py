"""What is taken of the official client of Kubernetes: kubeconfig files, with contexts, TLS, tokens that expire and credential plug-ins, and
proxies with ``NO_PROXY``. Where it is not installed, importing this says what to do.

Its typed models are never imported: their 700 modules would cost each process that makes a Job half a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import NotFoundError, UnsupportedError
from .connections import HINT, urllib3

try:
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.rest import RESTClientObject
    from kubernetes.config import ConfigException, list_kube_config_contexts, load_kube_config
except ImportError as error:
    raise UnsupportedError(
        f"Kubernetes needs the package `kubernetes`, which can not be imported ({error}).", hint=HINT
    ) from error


class KubeconfigEndpoint:
    """An ``Endpoint`` that a kubeconfig names.

    Args:
        files: names of files, as ``KUBECONFIG`` lists them.
        where: for messages.

    Raises:
        NotFoundError: they name no server that can be used.
    """

    def __init__(self, files: str, where: str) -> None:
        self._configuration = Configuration()
        try:
            load_kube_config(files, client_configuration=self._configuration)
        except (ConfigException, KeyError, TypeError, ValueError) as error:
            raise NotFoundError(f"the kubeconfig can not be used: {error}", where=where) from error

    @property
    def host(self) -> str:
        """See ``Endpoint``."""
        return str(self._configuration.host)

    @property
    def ssl_ca_cert(self) -> str | None:
        """See ``Endpoint``."""
        found: str | None = self._configuration.ssl_ca_cert
        return found

    @ssl_ca_cert.setter
    def ssl_ca_cert(self, file: str | None) -> None:
        self._configuration.ssl_ca_cert = file

    @staticmethod
    def current_context(files: str) -> Mapping[str, Any]:
        """The context that these files have chosen."""
        _, current = list_kube_config_contexts(files)
        found: Mapping[str, Any] = current
        return found

    def pool(self, size: int) -> urllib3.PoolManager:
        """See ``Endpoint``."""
        return _pool(self._configuration, size)

    def headers(self) -> Mapping[str, str]:
        """See ``Endpoint``."""
        settings: Mapping[str, Any] = self._configuration.auth_settings()
        return {setting["key"]: str(setting["value"]) for setting in settings.values()}


class ProxiedConnections:
    """Connections through the proxies that the environment names.

    Args:
        host: scheme, host and port of the server.
        ssl_ca_cert: a file with the authorities that are trusted.
    """

    def __init__(self, host: str, ssl_ca_cert: str | None) -> None:
        self._configuration = Configuration()
        self._configuration.host, self._configuration.ssl_ca_cert = host, ssl_ca_cert

    def pool(self, size: int) -> urllib3.PoolManager:
        """See ``Endpoint``."""
        return _pool(self._configuration, size)


def _pool(configuration: Configuration, size: int) -> urllib3.PoolManager:
    configuration.connection_pool_maxsize = size
    pool: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
    return pool
