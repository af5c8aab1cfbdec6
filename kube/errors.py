"""What the API server answers when it does not do what was asked, by what the caller can do about it.

::

    KubeError
    ├── KubeUnavailableError   no answer, 429, 5xx: nothing is known of what was asked; ask again
    ├── KubeExpiredError       410: the version is too old; list again
    ├── KubeNotFoundError      404
    ├── KubeConflictError      409: the name is taken, or the object is not the one that was meant
    └── KubeRefusedError       400, 401, 403, 413, 422: asking again changes nothing
        ├── KubeForbiddenError the role lacks a verb, or an admission check said no
        └── KubeQuotaError     a quota is full: this one changes by itself
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import RunplaneError

_SHOWN = 1000


class KubeError(RunplaneError):
    """The API server did not do what was asked.

    Args:
        message: what it said.
        where: what was asked of whom.
        status: the HTTP status; None when there was no answer.
        reason: Kubernetes' own word (``NotFound``, ``AlreadyExists``, ``Forbidden``, ...).
    """

    def __init__(
        self, message: str, *, where: str, status: int | None = None, reason: str = "", hint: str | None = None
    ) -> None:
        self.status = status
        self.reason = reason
        super().__init__(message, where=where, hint=hint)


class KubeUnavailableError(KubeError):
    """No answer, or that it can not answer now. What was asked may have been done all the same.

    Attributes:
        retry_after_s: when the server says that it may be asked again.
    """

    retry_after_s: float | None = None


class KubeExpiredError(KubeError):
    """The resource version is not known any more."""


class KubeNotFoundError(KubeError):
    """No such object, namespace or resource."""


class KubeConflictError(KubeError):
    """There is an object of that name, or the one that is there is not the one that was meant (uid)."""


class KubeRefusedError(KubeError):
    """It can not be done as it was asked."""


class KubeForbiddenError(KubeRefusedError):
    """The role does not allow it, or an admission check denied it."""


class KubeQuotaError(KubeRefusedError):
    """A quota is full."""


def error_of(status: int, body: bytes, where: str, retry_after: str | None = None) -> KubeError:
    """The error that an answer stands for."""
    told = _told(body)
    reason = str(told.get("reason") or "")
    message = str(told.get("message") or body.decode(errors="replace"))[:_SHOWN].strip() or f"HTTP status {status}"
    kind, hint = _kind_and_hint(status, reason, message)
    made = kind(message, where=where, status=status, reason=reason, hint=hint)
    if isinstance(made, KubeUnavailableError) and retry_after is not None and retry_after.strip().isdigit():
        made.retry_after_s = float(retry_after)
    return made


def _kind_and_hint(status: int, reason: str, message: str) -> tuple[type[KubeError], str | None]:
    if status == 404:
        return KubeNotFoundError, None
    if status == 409 or (status == 422 and "metadata.uid: Invalid value" in message):
        # A patch that names the uid of another object is told as a change of a field that does not change.
        return KubeConflictError, None
    if status == 410 or reason == "Expired":
        return KubeExpiredError, None
    if status == 403 and "exceeded quota" in message:
        return KubeQuotaError, "Raise the quota, or let less run at a time (max_concurrent)."
    if status == 403:
        denied = "admission webhook" in message or "denied the request" in message or "violates PodSecurity" in message
        hint = "Give the service account this verb: `runplane doctor` lists what a role lacks, and `kubectl auth can-i` tells."
        return KubeForbiddenError, None if denied else hint
    if status == 401:
        return (
            KubeRefusedError,
            "The credentials are not accepted; log in again, or look at the service account's token.",
        )
    if status == 429 or status >= 500:
        return KubeUnavailableError, None
    return KubeRefusedError, None


def _told(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}
