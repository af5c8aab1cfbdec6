"""The configuration of the launchers that make Jobs. Apart from ``class_schemas.py``, since a worker has no use for it."""

from __future__ import annotations

from collections.abc import Mapping

from ..config.schema import Field, Schema, Selector, Shape
from ..kube.shapes import LAUNCHER, LAUNCHER_FIELDS, LAUNCHER_MISPLACED, LAUNCHER_RULES
from .class_schemas import CELERY

_RETRIES = Selector({"enabled": Shape({}, nullable=True), "disabled": Shape({}, nullable=True)})


class KubernetesSchemas:
    """As ``class_schemas.SCHEMAS``; a class, so that it is loaded by name where it is needed."""

    BY_NAME: Mapping[str, Schema] = {
        "k8s_run_launcher": LAUNCHER,
        "celery_k8s_run_launcher": Shape(
            {**LAUNCHER_FIELDS, **CELERY, "retries": Field(_RETRIES, default={"enabled": {}})},
            rules=LAUNCHER_RULES,
            misplaced=LAUNCHER_MISPLACED,
        ),
    }
