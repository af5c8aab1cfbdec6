"""Run config that is read from YAML: files, patterns of files, texts.

Source: https://docs.dagster.io/api/dagster/config and https://docs.dagster.io/guides/operate/configuration/run-configuration
"""

from __future__ import annotations

import glob
import importlib.resources
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from .errors import DagsterInvariantViolationError


def config_from_files(config_files: Sequence[str]) -> Mapping[str, Any]:
    """The run config of several YAML files, later ones over earlier ones, mappings merged.

    Args:
        config_files: paths, or patterns (``env/*.yaml``).

    Raises:
        DagsterInvariantViolationError: there is no such file, or one is no YAML mapping.
    """
    paths: list[str] = []
    for pattern in config_files:
        found = sorted(glob.glob(pattern))
        if not found:
            raise DagsterInvariantViolationError("there is no such file.", got=f"nothing matches '{pattern}'")
        paths += found
    return _merged((path, _text(path)) for path in paths)


def config_from_pkg_resources(pkg_resource_defs: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
    """The run config of several YAML files inside of packages, as (package, file).

    Raises:
        DagsterInvariantViolationError: as ``config_from_files``.
    """
    texts = []
    for package, file in pkg_resource_defs:
        try:
            text = importlib.resources.files(package).joinpath(file).read_text(encoding="utf-8")
        except (OSError, ModuleNotFoundError) as error:
            raise DagsterInvariantViolationError(f"there is no file '{file}' in the package '{package}'.") from error
        texts.append((f"{package}/{file}", text))
    return _merged(texts)


def config_from_yaml_strings(yaml_strings: Sequence[str]) -> Mapping[str, Any]:
    """The run config of several YAML texts.

    Raises:
        DagsterInvariantViolationError: one is no YAML mapping.
    """
    return _merged((f"text {i}", text) for i, text in enumerate(yaml_strings, start=1))


def file_relative_path(dunderfile: str, relative_path: str) -> str:
    """A path beside a file: ``file_relative_path(__file__, "config.yaml")``."""
    return os.path.join(os.path.dirname(dunderfile), relative_path)


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _merged(texts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for where, text in texts:
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise DagsterInvariantViolationError("this is not YAML.", where=where, got=str(error)) from error
        if not isinstance(found, Mapping):
            raise DagsterInvariantViolationError(
                "this is no run config.", where=where, got=type(found).__name__, expected="a mapping"
            )
        whole = _over(whole, found)
    return whole


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        merged[key] = _over(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged
