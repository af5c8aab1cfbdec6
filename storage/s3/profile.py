"""Credentials of a profile in ``~/.aws``, read by botocore, the library that defines what stands there.

Loaded only where there is such a file and the configuration and the environment hold no keys.
Source: https://developmentseed.org/obstore/latest/authentication/ (custom credential providers)
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import botocore.session

from ...errors import NotFoundError

ASK_AGAIN_AFTER = timedelta(minutes=5)
"""How long the client keeps what it was given. botocore renews what expires by itself."""


class ProfileCredentials:
    """A callable that the client asks for credentials.

    Raises:
        NotFoundError: botocore finds none either.
    """

    def __init__(self) -> None:
        session = botocore.session.get_session()
        self._found = session.get_credentials()
        if self._found is None:
            raise NotFoundError(
                "there are files in ~/.aws, and none holds credentials of the profile",
                got=f"profile {session.profile or 'default'}",
                hint="Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            )
        region = session.get_config_variable("region")
        self.config: dict[str, Any] = {"region": region} if region else {}

    def __call__(self) -> dict[str, Any]:
        """The keys that are valid now."""
        frozen = self._found.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(timezone.utc) + ASK_AGAIN_AFTER,
        }
