"""The `.env` file of a directory, as Dagster's commands read it.

Only verbs for people import this module (python-dotenv costs about 20 ms); containers get their environment from the container.
Source: https://docs.dagster.io/guides/operate/configuration/using-environment-variables-and-secrets
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from dotenv import dotenv_values

FILE_NAME = ".env"


def read_dotenv(directory: Path) -> dict[str, str]:
    """The variables of `directory/.env`; empty if there is none. A name without `=` is left out. `${NAME}` is expanded."""
    path = directory / FILE_NAME
    if not path.is_file():
        return {}
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def apply_dotenv(directory: Path, env: MutableMapping[str, str]) -> list[str]:
    """Put the variables of `directory/.env` into `env`, over those that are there. Returns their names, never their values."""
    found = read_dotenv(directory)
    env.update(found)
    return list(found)
