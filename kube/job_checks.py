"""What Kubernetes would refuse in a Job, or what would hurt later, found before anything is created."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import ConfigErrors, Problem, Problems
from .names import check_labels, is_namespace
from .user_config import UserConfig, plain

LONGEST_ARGUMENT = 128 * 1024 - 1
"""Bytes of one argument, or of one variable with its name: Linux takes no longer ones.
Source: https://man7.org/linux/man-pages/man2/execve.2.html (MAX_ARG_STRLEN)."""
_LOOKS_SECRET = re.compile(
    r"passw(or)?d|passphrase|secret|token|credential|private_?key|api_?key|access_?key|(^|_)pwd($|_)", re.IGNORECASE
)


def check_job(
    manifest: Mapping[str, Any], namespace: str, config: UserConfig, sources: Mapping[str, str], *, where: str
) -> None:
    """Look at a whole Job.

    Args:
        manifest: the Job.
        namespace: where it is to be made.
        config: what users said, for the labels that are theirs.
        sources: who set what.
        where: which Job, for the message.

    Raises:
        ConfigErrors: all problems.
    """
    problems = Problems()
    pod = manifest["spec"]["template"]["spec"]
    container = pod["containers"][0]
    if not container.get("image"):
        problems.at("image").add(
            "no image is given anywhere",
            expected="one of the code location (DAGSTER_CURRENT_IMAGE), job_image of the launcher or executor, "
            "or container_config.image",
        )
    _unique(pod.get("volumes", ()), "name", "volumes", "spec.template.spec", sources, problems)
    mounts = container.get("volumeMounts", ())
    _unique(mounts, "mountPath", "volumeMounts", "spec.template.spec.containers[0]", sources, problems)
    _namespace(manifest, namespace, sources, problems)
    for name in ("job_metadata", "pod_template_spec_metadata"):
        labels = plain(config.sections[name]).get("labels") or {}
        check_labels(labels, problems.at(name).at("labels"))
    for place, text in _arguments(container):
        _short_enough(place, text, problems)
    if problems.found:
        raise ConfigErrors(problems.found, where=where)


def _unique(
    entries: Sequence[Mapping[str, Any]],
    key: str,
    name: str,
    parent: str,
    sources: Mapping[str, str],
    problems: Problems,
) -> None:
    counted = Counter(entry.get(key) for entry in entries)
    for value, times in counted.items():
        if times > 1:
            by = [sources.get(f"{parent}.{name}[{n}].{key}", "") for n, e in enumerate(entries) if e.get(key) == value]
            problems.at(name).add(
                f"{times} entries have the {key} {value!r}",
                got="set by " + ", ".join(by),
                expected="one, or equal ones",
            )


def _namespace(manifest: Mapping[str, Any], chosen: str, sources: Mapping[str, str], problems: Problems) -> None:
    name = manifest["metadata"]["namespace"]
    if name != chosen:
        problems.at("job_metadata.namespace").add(
            "another namespace than the Job is made in", got=repr(name), expected=f"{chosen!r}, or none"
        )
    if not is_namespace(name):
        who = sources.get("metadata.namespace", "")
        problems.at("namespace").add(
            "not a namespace's name", got=f"{name!r} of the {who}", expected="at most 63 of a-z, 0-9 and `-`"
        )


def _arguments(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for n, text in enumerate(container.get("args", ())):
        yield f"args[{n}]", text
    for entry in container["env"]:
        yield f"env.{entry.get('name')}", f"{entry.get('name')}={entry.get('value') or ''}"


def _short_enough(place: str, text: str, problems: Problems) -> None:
    size = len(text.encode())
    if size > LONGEST_ARGUMENT:
        problems.at(place).add(
            "too long for an argument or a variable",
            got=f"{size} bytes",
            expected=f"at most {LONGEST_ARGUMENT}; with `run_launcher.config.runplane.instance: mount` the instance is not in it",
        )


def secrets_in_plain(config: UserConfig, literals: Sequence[str]) -> list[Problem]:
    """Secrets that anybody who may read Jobs would see.

    Args:
        config: what users said.
        literals: places of the instance's configuration where a secret stands as a literal.
    """
    found = [
        Problem(place, "a secret stands here as a literal, and travels in each run's Job", expected="{env: NAME}")
        for place in literals
    ]
    for entry in plain(config.sections["container_config"]).get("env") or ():
        name = entry.get("name", "")
        if entry.get("value") and _LOOKS_SECRET.search(name):
            found.append(
                Problem(
                    f"container_config.env.{name}",
                    "its name looks like a secret's, and its value stands in the Job in plain",
                    expected="env_secrets, or an entry of `env` with valueFrom.secretKeyRef",
                )
            )
    return found
