"""How the cluster is reached: the pod's own service account, or a kubeconfig file.

The official client reads both: contexts, TLS, tokens that expire, credential plug-ins, proxies and ``NO_PROXY``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import NotFoundError
from .official_client import (
    ConfigException,
    Configuration,
    list_kube_config_contexts,
    load_incluster_config,
    load_kube_config,
)

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True)
class ClusterAccess:
    """Where the cluster is and who we are there.

    Attributes:
        load: reads the configuration anew: a token that was rotated is another one then.
        namespace: the one that is meant when none is named.
        source: where this comes from, for people.
    """

    load: Callable[[], Configuration]
    namespace: str
    source: str


def cluster_access(
    *,
    load_incluster_config: bool | None = None,
    kubeconfig_file: str | None = None,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> ClusterAccess:
    """The access that these config keys stand for.

    Args:
        load_incluster_config: True: the pod's service account; False: a kubeconfig; None: the service account if there is one.
        kubeconfig_file: the file; None: ``KUBECONFIG``, or ``~/.kube/config``.
        environ: the process' environment.
        service_account: the folder that a pod has its token in.

    Raises:
        NotFoundError: there is no such file, or it names no cluster.
    """
    has_token = (service_account / "token").is_file()
    if load_incluster_config or (load_incluster_config is None and kubeconfig_file is None and has_token):
        return _of_pod(service_account)
    return _of_file(kubeconfig_file or environ.get("KUBECONFIG") or "~/.kube/config")


def _of_pod(service_account: Path) -> ClusterAccess:
    where = f"service account in {service_account}"

    def load() -> Configuration:
        configuration = Configuration()
        try:
            load_incluster_config(configuration)
        except ConfigException as error:
            raise NotFoundError(
                f"this process can not reach a cluster as a pod: {error}",
                where=where,
                hint="Outside of a pod set load_incluster_config: false, and kubeconfig_file if it is not ~/.kube/config.",
            ) from error
        return configuration

    load()
    namespace = service_account / "namespace"
    return ClusterAccess(load, namespace.read_text().strip() if namespace.is_file() else DEFAULT_NAMESPACE, where)


def _of_file(name: str) -> ClusterAccess:
    where = f"kubeconfig {name}"
    files = [Path(part).expanduser() for part in name.split(os.pathsep) if part]
    if not any(file.is_file() for file in files):
        raise NotFoundError(
            "there is no kubeconfig file, and no service account of a pod either",
            where=where,
            hint="Name one with kubeconfig_file or KUBECONFIG, or run in a pod with a service account.",
        )
    joined = os.pathsep.join(str(file) for file in files)

    def load() -> Configuration:
        configuration = Configuration()
        try:
            load_kube_config(joined, client_configuration=configuration)
        except (ConfigException, KeyError, TypeError, ValueError) as error:
            raise NotFoundError(f"the kubeconfig can not be used: {error}", where=where) from error
        return configuration

    load()
    _, current = list_kube_config_contexts(joined)
    namespace = (current.get("context") or {}).get("namespace") or DEFAULT_NAMESPACE
    return ClusterAccess(load, namespace, f"{where}, context {current.get('name')}")
