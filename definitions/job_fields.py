"""Fields by which executors and ops say what a Kubernetes Job is made of.

They are checked whole, against Kubernetes' own fields, where the Job is made.
Source: https://docs.dagster.io/api/libraries/dagster-k8s
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .config_schema import Array, Field, Noneable, Permissive, StringSource

OPTIONAL_TEXT = Field(Noneable(StringSource), is_required=False)
OPTIONAL_MAP = Field(Permissive(), is_required=False)
JOB_FIELDS: Mapping[str, Any] = {
    "image_pull_policy": OPTIONAL_TEXT,
    "image_pull_secrets": Field(Noneable(Array(Permissive())), is_required=False),
    "service_account_name": OPTIONAL_TEXT,
    "env_config_maps": Field(Noneable(Array(StringSource)), is_required=False),
    "env_secrets": Field(Noneable(Array(StringSource)), is_required=False),
    "env_vars": Field(Noneable(Array(str)), is_required=False),
    "volume_mounts": Field(Array(Permissive()), default_value=[]),
    "volumes": Field(Array(Permissive()), default_value=[]),
    "labels": OPTIONAL_MAP,
    "resources": Field(Noneable({"limits": OPTIONAL_MAP, "requests": OPTIONAL_MAP}), is_required=False),
    "scheduler_name": OPTIONAL_TEXT,
    "security_context": OPTIONAL_MAP,
}
