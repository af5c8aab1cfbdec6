"""How the cluster is reached: the pod's own service account, or a kubeconfig file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.pointer import ClassPointer, load_class
from ..errors import NotFoundError
from .endpoint import Endpoint
from .pod_account import SERVICE_ACCOUNT, PodAccount

DEFAULT_NAMESPACE = "default"
_KUBECONFIG = ClassPointer(f"{__package__}.official_client", "KubeconfigEndpoint")
"""Loaded by who needs it: see ``pod_account``."""


@dataclass(frozen=True)
class ClusterAccess:
    """Where the cluster is and who we are there.

    Attributes:
        load: reads the configuration anew: a token that was rotated is another one then.
        namespace: the one that is meant when none is named.
        source: where this comes from, for people.
    """

    load: Callable[[], Endpoint]
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
        return _of_pod(service_account, environ)
    return _of_file(kubeconfig_file or environ.get("KUBECONFIG") or "~/.kube/config")


def _of_pod(service_account: Path, environ: Mapping[str, str]) -> ClusterAccess:
    def load() -> Endpoint:
        return PodAccount(service_account, environ)

    load()
    namespace = service_account / "namespace"
    named = namespace.read_text().strip() if namespace.is_file() else DEFAULT_NAMESPACE
    return ClusterAccess(load, named, f"service account in {service_account}")


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

    kubeconfig: Any = load_class(_KUBECONFIG, where=where)

    def load() -> Endpoint:
        found: Endpoint = kubeconfig(joined, where)
        return found

    load()
    current = kubeconfig.current_context(joined)
    namespace = (current.get("context") or {}).get("namespace") or DEFAULT_NAMESPACE
    return ClusterAccess(load, namespace, f"{where}, context {current.get('name')}")
