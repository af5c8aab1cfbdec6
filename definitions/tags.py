"""Tags as text.

Source: contract of run and op tags: values are strings; others are stored as JSON text with sorted keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .errors import DagsterInvalidDefinitionError

MAX_RUNTIME_SECONDS_TAG = "dagster/max_runtime"
"""Tag of a run or a job: the run is ended after so many seconds."""


def tags_to_text(tags: Mapping[str, Any]) -> dict[str, str]:
    """The tags with every value as text.

    Raises:
        DagsterInvalidDefinitionError: a value has no JSON form.
    """
    return {str(key): value if isinstance(value, str) else _to_json(key, value) for key, value in tags.items()}


def _to_json(key: str, value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise DagsterInvalidDefinitionError(
            f"the value of the tag '{key}' has no JSON form: {error}.", got=type(value).__name__
        ) from None
