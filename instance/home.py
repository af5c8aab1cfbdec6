"""Where an instance lives: the folder of `DAGSTER_HOME`, or one of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import RunplaneError
from ..errors.exit_codes import ExitCode

HOME_ENV = "DAGSTER_HOME"
FILE_NAME = "dagster.yaml"
IN_A_POD_ENV = "KUBERNETES_SERVICE_HOST"
"""Set in every container of a cluster."""


class NoInstanceError(RunplaneError):
    """There is no instance, and making an empty one would hide that."""

    exit_code = ExitCode.NO_INSTANCE


class StorageChangedError(NoInstanceError):
    """The file that a worker reads names another database than the one its run was launched with."""


def find_home(env: Mapping[str, str], *, may_make: bool, notify: Callable[[str], None]) -> Path:
    """The folder of the instance.

    `DAGSTER_HOME` with `~` expanded; it has to be absolute and to be there. Unset: `$XDG_DATA_HOME/runplane`
    (`~/.local/share/runplane`), made if it is not there.

    Args:
        env: the environment.
        may_make: False in the `api` verbs: an unset `DAGSTER_HOME` is an error there, never a default.
        notify: is told the path, once, when our own folder is made.

    Raises:
        NoInstanceError: unset and may not be made.
        RunplaneError: relative, or no folder.
    """
    named = env.get(HOME_ENV)
    if named:
        return _named_home(named, env, may_make)
    if not may_make:
        raise NoInstanceError(
            "there is no instance: the document holds none and the environment names none",
            expected=f"an instance_ref, or {HOME_ENV} with the path of a folder that has a {FILE_NAME}",
        )
    data = env.get("XDG_DATA_HOME", "")
    base = Path(data) if data.startswith("/") else _expand("~/.local/share", env)
    home = base / "runplane"
    if not home.is_dir():
        try:
            home.mkdir(parents=True)
        except OSError as error:
            raise RunplaneError(
                f"the folder of the instance can not be made: {error.strerror}",
                where=str(home),
                hint=f"Set {HOME_ENV}.",
            ) from error
        notify(f"{HOME_ENV} is not set: the instance is kept in {home}")
    return home


def _named_home(named: str, env: Mapping[str, str], may_make: bool) -> Path:
    home = _expand(named, env)
    error = RunplaneError if may_make else NoInstanceError
    if not home.is_absolute():
        raise error(f"{HOME_ENV} is a relative path", got=repr(named), expected="an absolute path")
    if not home.is_dir():
        what = "is not a folder" if home.exists() else "is not there"
        raise error(f"{HOME_ENV} {what}", got=repr(named), hint=f"Make it: mkdir -p {home}")
    return home


def _expand(path: str, env: Mapping[str, str]) -> Path:
    if (path == "~" or path.startswith("~/")) and env.get("HOME"):
        return Path(env["HOME"] + path[1:])
    return Path(path).expanduser()
