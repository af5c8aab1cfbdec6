"""``instance_for_test``: an instance with a home of its own, for the time of a test.

Source: https://docs.dagster.io/guides/test
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from .instance import Instance


@contextmanager
def instance_for_test(
    overrides: Mapping[str, Any] | None = None, set_dagster_home: bool = True, temp_dir: str | None = None
) -> Iterator[Instance]:
    """An instance whose home is a temporary folder.

    Args:
        overrides: the content of its ``dagster.yaml``.
        set_dagster_home: let ``DAGSTER_HOME`` name it meanwhile.
        temp_dir: the folder, in place of a temporary one; it stays.

    Raises:
        ConfigErrors: `overrides` are not right.
    """
    with ExitStack() as stack:
        home = Path(temp_dir or stack.enter_context(tempfile.TemporaryDirectory()))
        (home / "dagster.yaml").write_text(yaml.safe_dump(dict(overrides or {})) if overrides else "")
        if set_dagster_home:
            stack.callback(_restore, os.environ.get("DAGSTER_HOME"))
            os.environ["DAGSTER_HOME"] = str(home)
        yield stack.enter_context(Instance.from_home(home))


def _restore(home: str | None) -> None:
    if home is None:
        os.environ.pop("DAGSTER_HOME", None)
    else:
        os.environ["DAGSTER_HOME"] = home
