"""Keys of a profile in ``~/.aws``. Read only where the configuration and the environment hold no keys.

Profiles that get keys from elsewhere (a role to assume, single sign-on, a process) are refused by name: botocore, which reads them,
does not go with the kubernetes client in one environment.

Source: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html,
https://developmentseed.org/obstore/latest/authentication/ (custom credential providers)
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ...errors import NotFoundError

ASK_AGAIN_AFTER = timedelta(minutes=5)
"""How long the client keeps what it was given. Whoever renews the keys in the file is noticed by then."""
FILES = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}
"""Variable that names another place -> name of the file in ``~/.aws``."""
_KEYS = ("aws_access_key_id", "aws_secret_access_key")


def files() -> dict[str, Path]:
    """The files that are there, by their usual name."""
    places = {usual: Path(os.environ.get(name) or Path.home() / ".aws" / usual) for name, usual in FILES.items()}
    return {usual: place for usual, place in places.items() if place.exists()}


class ProfileCredentials:
    """A callable that the client asks for credentials: it reads the files anew.

    Raises:
        NotFoundError: the profile holds no keys.
    """

    def __init__(self) -> None:
        region = _profile().get("region")
        self.config: dict[str, Any] = {"region": region} if region else {}
        self()

    def __call__(self) -> dict[str, Any]:
        """The keys that are in the files now."""
        found = _profile()
        if missing := [key for key in _KEYS if not found.get(key)]:
            raise NotFoundError(
                f"the profile {_name()!r} in {', '.join(map(str, files().values()))} holds no {' and no '.join(missing)}",
                got=f"keys {', '.join(sorted(found))}" if found else "no such profile",
                hint="Set AWS_PROFILE to a profile with keys, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            )
        return {
            "access_key_id": found["aws_access_key_id"],
            "secret_access_key": found["aws_secret_access_key"],
            "token": found.get("aws_session_token"),
            "expires_at": datetime.now(timezone.utc) + ASK_AGAIN_AFTER,
        }


def _name() -> str:
    return os.environ.get("AWS_PROFILE") or "default"


def _profile() -> Mapping[str, str]:
    """What both files say of the profile; ``credentials`` counts where they differ."""
    name = _name()
    sections = {"config": name if name == "default" else f"profile {name}", "credentials": name}
    found: dict[str, str] = {}
    there = files()
    for usual, section in sections.items():
        parsed = configparser.RawConfigParser()
        if usual in there:
            parsed.read(there[usual], encoding="utf-8")
        if parsed.has_section(section):
            found |= dict(parsed.items(section))
    return found
