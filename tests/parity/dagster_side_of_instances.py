"""Run by a Python that has Dagster: prints what its instance parts are, and what it makes of given files, as JSON.

Input (stdin): a JSON list of texts of dagster.yaml. It imports nothing of runplane.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import json
import os
import pkgutil
import re
import sys
import tempfile
import warnings
from typing import Any

warnings.simplefilter("ignore")
PACKAGES = ("dagster", "dagster_k8s", "dagster_celery", "dagster_celery_k8s", "dagster_postgres")
FOR_TESTS = re.compile(r"(^|\.)(test_utils|_?tests?|test_fixtures|__main__)(\.|$)|_utils\.test")


def form_of_type(config_type: Any) -> Any:
    """A config type as data: a word for a scalar, a list that starts with a word for the rest."""
    kind = config_type.kind.name
    if kind == "SCALAR":
        return config_type.given_name
    if kind == "ANY":
        return "Any"
    if kind == "ARRAY":
        return ["list", form_of_type(config_type.inner_type)]
    if kind == "NONEABLE":
        return ["nullable", form_of_type(config_type.inner_type)]
    if kind == "MAP":
        return ["map", form_of_type(config_type.inner_type)]
    if kind == "SCALAR_UNION":
        return ["union", form_of_type(config_type.scalar_type), form_of_type(config_type.non_scalar_type)]
    fields = {name: form_of_field(field) for name, field in config_type.fields.items()}
    return [{"STRICT_SHAPE": "shape", "PERMISSIVE_SHAPE": "open", "SELECTOR": "selector"}[kind], fields]


def form_of_field(field: Any) -> dict[str, Any]:
    form = {"type": form_of_type(field.config_type), "required": field.is_required}
    if field.default_provided:
        form["default"] = field.default_value
    return form


def modules() -> list[str]:
    found = []
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        found += [package, *(m.name for m in pkgutil.walk_packages(path, package + ".", onerror=lambda name: None))]
    return [name for name in found if not FOR_TESTS.search(name)]


def classes() -> dict[str, Any]:
    """`module:class`, for each module that has the class -> its config."""
    from dagster._config.field_utils import convert_potential_field
    from dagster._serdes import ConfigurableClass

    found: dict[str, Any] = {}
    for name in modules():
        try:
            module = importlib.import_module(name)
        except (Exception, SystemExit):
            continue  # what can not be imported can not be named in a dagster.yaml
        for key, value in vars(module).items():
            if not inspect.isclass(value) or not issubclass(value, ConfigurableClass) or value is ConfigurableClass:
                continue
            if inspect.isabstract(value) or FOR_TESTS.search(value.__module__):
                continue
            found[f"{name}:{key}"] = form_of_type(convert_potential_field(value.config_type()).config_type)
    return found


def document() -> dict[str, Any]:
    from dagster._config.field_utils import convert_potential_field
    from dagster._core.instance.config import dagster_instance_config_schema

    return {k: form_of_field(convert_potential_field(f)) for k, f in dagster_instance_config_schema().items()}


def ref_of(text: str) -> str | None:
    """The InstanceRef of a dagster.yaml in the folder `/HOME`, as text; None if it is refused."""
    from dagster._core.errors import DagsterError
    from dagster._core.instance.ref import InstanceRef
    from dagster._serdes import serialize_value

    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "dagster.yaml"), "w") as file:
            file.write(text)
        try:
            return serialize_value(InstanceRef.from_dir(folder)).replace(folder, "/HOME")
        except (DagsterError, KeyError, TypeError, AttributeError):
            return None


def main() -> None:
    texts = json.load(sys.stdin)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        answer = {"classes": classes(), "document": document(), "refs": [ref_of(text) for text in texts]}
    json.dump(answer, sys.stdout, default=str)


if __name__ == "__main__":
    main()
