"""dagster.yaml -> InstanceConfig, checked whole: every problem at once, each with its path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config.pointer import ClassPointer, load_class
from ..config.schema import type_name
from ..errors import ConfigErrors, Problems, RunplaneError
from ..events.requests import ConfigurableClassData, InstanceRef
from .class_types import to_fields
from .config import STORAGE_TRIO, InstanceConfig
from .defaults import composite_part, custom_parts, default_parts, server_parts, sqlite_parts
from .document_schema import CLASS_KEYS, CLASS_POINTER, MOST_SLOTS, MOST_SLOTS_ENV, check_conflicts, document_schema
from .home import FILE_NAME, NoInstanceError, find_home
from .known_classes import find_known, is_dagsters, nearest_known
from .parts import Part
from .ref import from_ref
from .settings import SECTIONS
from .storage_location import SQLITE_FILE, check_one_database
from .yaml_text import parse_yaml

Notify = Callable[[str], None]


def load_instance_config(
    env: Mapping[str, str],
    *,
    ref: InstanceRef | None = None,
    may_make_home: bool = True,
    notify: Notify = lambda _: None,
) -> InstanceConfig:
    """The instance that a process is to use: the one it was handed, else the one of its environment.

    Args:
        env: the environment.
        ref: the instance of a request document; it wins, and no file is read then.
        may_make_home: False in the `api` verbs, where a missing instance is an error (exit code NO_INSTANCE).
        notify: is told things a person should know once (a home that was made, a home without a dagster.yaml).

    Raises:
        ConfigErrors: the file is not right; all problems.
        NoInstanceError, RunplaneError: there is no home.
    """
    if ref is not None:
        return from_ref(ref)
    return from_home(find_home(env, may_make=may_make_home, notify=notify), env, notify=notify)


def storage_of_home(env: Mapping[str, str]) -> InstanceConfig:
    """The instance of a worker that is handed none, as far as its storage goes: nothing else of the file is looked at.

    Raises:
        ConfigErrors: these keys are not right.
        NoInstanceError: there is no home, or nothing in it: neither a dagster.yaml nor a database.
    """
    home = find_home(env, may_make=False, notify=lambda _: None)
    path = home / FILE_NAME
    if not path.is_file() and not (home / SQLITE_FILE).is_file():
        raise NoInstanceError(
            "there is no instance: the document holds none, and nothing is in the folder that the environment names",
            where=str(home),
            expected=f"a {FILE_NAME} there",
            hint="In a pod: is the ConfigMap mounted, and is its key dagster.yaml?",
        )
    document = parse_yaml(path.read_text(encoding="utf-8"), where=str(path)) if path.is_file() else None
    given = document if isinstance(document, Mapping) else {}
    kept = {key: given[key] for key in (*STORAGE_TRIO, "storage") if key in given}
    return from_document(kept, home, env, where=str(path))


def from_home(home: Path, env: Mapping[str, str], *, notify: Notify = lambda _: None) -> InstanceConfig:
    """The instance of a folder: its dagster.yaml, or all defaults if it has none. Raises ConfigErrors, RunplaneError."""
    path = home / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if env.get("DAGSTER_HOME") and not any(home.iterdir()):  # said once: from then on something is kept there
            notify(f"no {FILE_NAME} in {home}: everything is kept in that folder")
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise RunplaneError(f"can not be read: {error}", where=str(path)) from error
    return from_yaml(text, home, env, where=str(path))


def from_yaml(text: str, home: Path, env: Mapping[str, str], *, where: str = FILE_NAME) -> InstanceConfig:
    """The instance that `text` describes.

    Args:
        text: of a dagster.yaml.
        home: the folder for whatever the text does not place.
        env: the environment; only the bound of pool limits is read from it, no `{env: NAME}` is resolved.
        where: the document's name in messages.

    Raises:
        ConfigErrors: all problems of the document and of the config of every class that is known here. (A third party's
            class is not imported: see ``check.py``.)
    """
    return from_document(parse_yaml(text, where=where), home, env, where=where)


def from_document(document: Any, home: Path, env: Mapping[str, str], *, where: str) -> InstanceConfig:
    """As ``from_yaml``, of what the text says."""
    if document is None:
        document = {}
    problems = Problems()
    if not isinstance(document, Mapping):
        problems.add("wrong type", got=type_name(document), expected="a mapping")
        raise ConfigErrors(problems.found, where=where)
    instance_class = _instance_class(document, where)
    further = to_fields(_further_keys(instance_class), where=f"{where}: instance_class")
    document_schema(further).check(document, problems)
    check_conflicts(document, _most_slots(env), problems)
    for part in _named_parts(document, where):
        check_part(part, problems)
    if problems.found:
        raise ConfigErrors(problems.found, where=where)
    parts = _parts(document, home, where, instance_class, list(further))
    check_one_database(parts, problems)
    if problems.found:
        raise ConfigErrors(problems.found, where=where)
    return InstanceConfig(
        where=where,
        home=home,
        parts=parts,
        written=frozenset(_written(document)),
        sections={key: document[key] for key in SECTIONS if document.get(key)},
        refuse_literal_secrets=document.get("secrets") == "refuse",
    )


def check_part(part: Part, problems: Problems) -> None:
    """Record what is wrong with a part whose class is one of Dagster's: its name, its place, its config."""
    known = find_known(part.module, part.class_name)
    at_class = _walk(problems, part.path.removesuffix(".config"))
    if known is None:
        if is_dagsters(part.module):
            close = nearest_known(part.module, part.class_name, part.name)
            at_class.add(
                "no such class among Dagster's",
                got=f"{part.module}:{part.class_name}",
                expected="a known class",
                suggestion=close,
            )
        return
    if known.part != part.name:
        at_class.add(f"{part.class_name} does not belong here", expected=f"under {known.part}")
        return
    known.schema.check(part.config, _walk(problems, part.path))


def _walk(problems: Problems, path: str) -> Problems:
    for key in path.split("."):
        problems = problems.at(key)
    return problems


def _most_slots(env: Mapping[str, str]) -> int:
    text = env.get(MOST_SLOTS_ENV, "")
    return int(text) if text.isdigit() else MOST_SLOTS


def _written(document: Mapping[str, Any]) -> list[str]:
    names = [key for key in CLASS_KEYS if key in document]
    if "storage" in document:
        names.append("storage")
    if document.get("run_queue") or (document.get("concurrency") or {}).get("runs"):
        names.append("run_coordinator")
    if isinstance(document.get("secrets"), Mapping) and "custom" in document["secrets"]:
        names.append("secrets")
    return names


def _parts(
    document: Mapping[str, Any], home: Path, where: str, instance_class: type[Any] | None, further: list[str]
) -> dict[str, Part]:
    parts = default_parts(str(home), where)
    parts.update(_defaults_of_class(instance_class, home, where))
    for key in CLASS_KEYS:
        if key in document:
            parts[key] = _pointed(key, document[key], f"{key}.config", where)
    if "storage" in document:
        parts = {key: part for key, part in parts.items() if key not in STORAGE_TRIO}
        parts.update(_unified_storage(document["storage"], where))
    elif any(key in document for key in STORAGE_TRIO):
        parts["storage"] = composite_part({key: parts[key] for key in STORAGE_TRIO}, where)
    if document.get("run_queue"):
        parts["run_coordinator"] = Part(
            "run_coordinator",
            "dagster.core.run_coordinator",
            "QueuedRunCoordinator",
            document["run_queue"],
            "run_queue",
            where,
        )
    secrets = document.get("secrets")
    if isinstance(secrets, Mapping):
        parts["secrets"] = _pointed("secrets", secrets["custom"], "secrets.custom.config", where)
    if instance_class is not None:
        own = {key: document[key] for key in further if key in document}
        given = parts["instance_class"]
        config = {**given.config, **own}
        parts["instance_class"] = Part("instance_class", given.module, given.class_name, config, given.path, where)
    return parts


def _named_parts(document: Mapping[str, Any], where: str) -> list[Part]:
    """The parts that the document names by class, as far as their form is right: the rest is already recorded."""
    named = [(key, f"{key}.config", document.get(key)) for key in CLASS_KEYS]
    for key in ("storage", "secrets"):
        value = document.get(key)
        custom = value.get("custom") if isinstance(value, Mapping) else None
        named.append((key, f"{key}.custom.config", custom))
    found = []
    for key, path, value in named:
        wrong = Problems()
        CLASS_POINTER.check(value, wrong)
        if isinstance(value, Mapping) and not wrong.found:
            found.append(_pointed(key, value, path, where))
    return found


def _pointed(name: str, value: Mapping[str, Any], path: str, where: str) -> Part:
    return Part(name, value["module"], value["class"], value.get("config", {}), path, where)


def _unified_storage(storage: Mapping[str, Any], where: str) -> dict[str, Part]:
    ((kind, config),) = storage.items()
    if kind == "sqlite":
        return sqlite_parts(config, "storage.sqlite", where)
    if kind == "custom":
        return custom_parts(_pointed("storage", config, "storage.custom.config", where))
    return server_parts(kind, config, f"storage.{kind}", where)


def _instance_class(document: Mapping[str, Any], where: str) -> type[Any] | None:
    """The class of `instance_class`, imported: it may add top-level keys, so the document can not be read without it."""
    value = document.get("instance_class")
    if not isinstance(value, Mapping):
        return None
    module, name = value.get("module"), value.get("class")
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    return load_class(ClassPointer(module, name), where=f"{where}: instance_class")


def _further_keys(instance_class: type[Any] | None) -> Mapping[str, Any]:
    ask = getattr(instance_class, "config_schema", None)
    return ask() if ask is not None else {}


def _defaults_of_class(instance_class: type[Any] | None, home: Path, where: str) -> dict[str, Part]:
    """The parts that an instance class puts in place of ours: `config_defaults(base_dir)`."""
    ask = getattr(instance_class, "config_defaults", None)
    if ask is None:
        return {}
    found: Mapping[str, ConfigurableClassData | None] = ask(str(home))
    return {
        name: Part(name, data.module, data.class_name, data.config_yaml, f"{name}.config", where)
        for name, data in found.items()
        if data is not None
    }
