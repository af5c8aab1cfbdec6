"""How a process that runs steps comes to the cluster, and what the instance's launcher says about Jobs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..kube.access import ClusterAccess, cluster_access
from ..kube.settings import LauncherSettings, launcher_settings, resolved_launcher_config


def launcher_settings_of(instance: Any) -> LauncherSettings:
    """Of the instance's launcher, if it is one that makes Jobs; a process on a laptop may drive steps in a cluster as well."""
    found = getattr(getattr(instance, "launcher", None), "settings", None)
    if isinstance(found, LauncherSettings):
        return found
    config = resolved_launcher_config({"job_namespace": "default"}, os.environ, where="defaults of K8sRunLauncher")
    return launcher_settings(config, os.environ)


def access_of(config: Mapping[str, Any], instance: Any) -> ClusterAccess:
    """The way that `config` names, else the launcher's, else the one of this process. Raises NotFoundError."""
    in_cluster, file = config.get("load_incluster_config"), config.get("kubeconfig_file")
    if in_cluster is None and file is None:
        found = getattr(getattr(instance, "launcher", None), "access", None)
        if isinstance(found, ClusterAccess):
            return found
    return cluster_access(load_incluster_config=in_cluster, kubeconfig_file=file)
