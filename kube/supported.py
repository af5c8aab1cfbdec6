"""Which clusters are supported.

Source: https://kubernetes.io/docs/reference/labels-annotations-taints/#batchkubernetesio-controller-uid (1.27: how a Job's pods are found)
"""

from __future__ import annotations

from ..errors import UnsupportedError
from .client import KubeClient

OLDEST = (1, 27)


def refuse_older(client: KubeClient) -> None:
    """Return if the cluster is new enough.

    Raises:
        UnsupportedError: it is older than ``OLDEST``. KubeError: it does not tell.
    """
    version = client.server_version()
    if version < OLDEST:
        raise UnsupportedError(
            "this cluster is older than what is supported",
            where=client.source,
            got=_text(version),
            expected=f"{_text(OLDEST)} or newer",
        )


def _text(version: tuple[int, int]) -> str:
    return f"Kubernetes {version[0]}.{version[1]}"
