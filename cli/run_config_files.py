"""Run config and tags as they are given on the command line."""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..definitions.tags import tags_to_text
from ..errors import ConfigErrors, NotFoundError, Problem, nearest
from ..instance.yaml_text import parse_yaml


def read_run_config(patterns: tuple[str, ...], text: str | None) -> dict[str, Any] | None:
    """The merged run config; None when none was given.

    Args:
        patterns: files and patterns; what an earlier one says wins over a later one, key by key.
        text: JSON, in place of files.

    Raises:
        NotFoundError, ConfigErrors: a file is not there, or holds no mapping.
    """
    if patterns and text is not None:
        raise click.UsageError("Give run config by -c or by --config-json, not by both.")
    if text is not None:
        return _mapping(_json(text, "--config-json"), "--config-json")
    merged: dict[str, Any] | None = None
    for path in (path for pattern in patterns for path in _files(pattern)):
        read = _mapping(parse_yaml(_text(path), where=str(path)), str(path))
        merged = read if merged is None else _under(merged, read)
    return merged


def read_tags(text: str | None) -> dict[str, str]:
    """The tags of ``--tags``. Values that are not text become their JSON."""
    if text is None:
        return {}
    return dict(tags_to_text(_mapping(_json(text, "--tags"), "--tags")))


def _files(pattern: str) -> list[Path]:
    found = [Path(name) for name in sorted(glob.glob(pattern))]
    if not found:
        path = Path(pattern)
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise NotFoundError("there is no such file (-c)", where=pattern, nearest=nearest(path.name, siblings))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFoundError(f"can not be read: {error}", where=str(path)) from error


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigErrors([Problem("", f"not JSON: {error}")], where=where) from None


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigErrors([Problem("", "wrong type", got=type(value).__name__, expected="a mapping")], where=where)
    return value


def _under(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """`second`, overlaid by `first`."""
    merged = {**second, **first}
    for key in first.keys() & second.keys():
        if isinstance(first[key], Mapping) and isinstance(second[key], Mapping):
            merged[key] = _under(first[key], second[key])
    return merged
