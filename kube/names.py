"""Names of Jobs and values of labels, as Dagster makes them, within Kubernetes' limits.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from typing import Any

from ..config.schema import type_name
from ..errors import Problems

LONGEST = 63
"""Of a Job's name, a label's value and the name part of its key, in characters."""
_NOT_IN_A_LABEL = re.compile(r"[^A-Za-z0-9\-_.]")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9\-_.]*[A-Za-z0-9])?)?")
_KEY_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9\-_.]*[A-Za-z0-9])?")
_KEY_PREFIX = re.compile(r"[a-z0-9]([a-z0-9\-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9\-]*[a-z0-9])?)*")
_LONGEST_PREFIX = 253


def run_job_name(run_id: str, resume_attempt: int = 0) -> str:
    """Name of the Job of a run's worker. `resume_attempt` is 0 for its first worker."""
    return f"dagster-run-{run_id}" + (f"-{resume_attempt}" if resume_attempt else "")


def step_job_name(run_id: str, step_key: str, retry: int = 0) -> str:
    """Name of the Job of a step's attempt. `retry` is 0 for the first one."""
    digest = hashlib.md5((run_id + step_key).encode(), usedforsecurity=False).hexdigest()
    return f"dagster-step-{digest}" + (f"-{retry}" if retry else "")


def label_value(text: str) -> str:
    """`text` as the value of a label: other characters become `-`, then it is cut to 63 and trimmed, so that it is always a valid one."""
    return _NOT_IN_A_LABEL.sub("-", text[:LONGEST]).strip("-_.")


def check_labels(labels: Mapping[str, Any], problems: Problems) -> None:
    """Record each label of a user's that Kubernetes would refuse: theirs are not changed."""
    for key, value in labels.items():
        prefix, slash, name = key.rpartition("/")
        if not _KEY_NAME.fullmatch(name) or len(name) > LONGEST:
            problems.at(key).add(
                "not a label's name", expected=f"at most {LONGEST} letters, digits, `-`, `_`, `.`; ends with no sign"
            )
        elif slash and (not _KEY_PREFIX.fullmatch(prefix) or len(prefix) > _LONGEST_PREFIX):
            problems.at(key).add("not a label's prefix", expected=f"a DNS name of at most {_LONGEST_PREFIX} characters")
        if value is not None and (not isinstance(value, str) or not _VALUE.fullmatch(value) or len(value) > LONGEST):
            got = f"{len(value)} characters" if isinstance(value, str) else type_name(value)
            problems.at(key).add(
                "not a label's value", got=got, expected=f"at most {LONGEST} letters, digits, `-`, `_`, `.`"
            )


_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9\-]{0,61}[a-z0-9])?")


def is_namespace(text: str) -> bool:
    """Whether a namespace can have this name."""
    return _DNS_LABEL.fullmatch(text) is not None


def own_version() -> str:
    """This package's version. Taken from the loaded package: an import of its root would be one of everything above."""
    found: str = sys.modules[__name__.partition(".")[0]].__version__
    return found
