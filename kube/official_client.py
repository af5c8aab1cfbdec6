"""What is taken of the official client of Kubernetes; where it is not installed, importing this says what to do.

Its typed models are never imported: their 700 modules would cost each process that makes a Job half a second.
"""

from __future__ import annotations

from ..errors import UnsupportedError

try:
    import urllib3
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.rest import RESTClientObject
    from kubernetes.config import ConfigException, list_kube_config_contexts, load_incluster_config, load_kube_config
    from urllib3.response import BaseHTTPResponse
except ImportError as error:
    raise UnsupportedError(
        f"Kubernetes needs the package `kubernetes`, which can not be imported ({error}).",
        hint="Install it: pip install 'runplane[kubernetes]'.",
    ) from error

__all__ = [
    "BaseHTTPResponse",
    "ConfigException",
    "Configuration",
    "RESTClientObject",
    "list_kube_config_contexts",
    "load_incluster_config",
    "load_kube_config",
    "urllib3",
]
