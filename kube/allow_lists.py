"""What code locations, tags and executors may set in a Job: the launcher's two allow-lists. They hold for runs and for steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ConfigErrors, Problems
from .container_context import Context
from .schema import model
from .settings import Allowed
from .user_config import SECTIONS, Entries, Tree, plain

_WHERE = "run_launcher.config.only_allow_user_defined_k8s_config_fields"


@dataclass(frozen=True, slots=True)
class Restricted:
    """A layer without the environment variables that are not allowed; `warnings` names them."""

    context: Context
    warnings: tuple[str, ...] = ()


def restrict(context: Context, allowed: Allowed) -> Restricted:
    """A layer as far as it is allowed.

    Raises:
        ConfigErrors: it sets fields that are not; all of them.
    """
    _check_fields(context, allowed)
    if allowed.variables is None:
        return Restricted(context)
    env = context.config.section("container_config").get("env")
    if not isinstance(env, Entries):
        return Restricted(context)
    kept = tuple(entry for entry in env.items if _name(entry) in allowed.variables)
    dropped = sorted({_name(entry) for entry in env.items if entry not in kept})
    if not dropped:
        return Restricted(context)
    config = context.config.with_field("container_config", "env", Entries(kept, env.who))
    text = (
        f"environment variables of the {env.who} are left out: {', '.join(dropped)}"
        " (not in run_launcher.config.only_allow_user_defined_env_vars)"
    )
    return Restricted(Context(config, context.namespace, context.namespace_who), (text,))


def _name(entry: Tree) -> str:
    found: Mapping[str, str] = plain(entry)
    return found.get("name", "")


def _check_fields(context: Context, allowed: Allowed) -> None:
    if allowed.fields is None:
        return
    problems = Problems()
    for name, kind in SECTIONS.items():
        for key in context.config.sections[name].items:
            if key not in allowed.fields[name]:
                _record(problems.at(name).at(model(kind).snake[key]), context.config.sections[name].who)
    if context.namespace and not allowed.namespace:
        _record(problems.at("namespace"), context.namespace_who)
    if problems.found:
        raise ConfigErrors(problems.found, where=_WHERE)


def _record(problems: Problems, who: str) -> None:
    problems.add("not an allowed field", got=f"set by the {who}", expected="a field of the launcher's allow-list")
