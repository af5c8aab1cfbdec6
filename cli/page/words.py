"""Statuses as a page shows them: a sign, a word and a class of the style, never a colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...events.status import RunStatus
from ..story import StepStatus
from .markup import Markup, element

_KIND: Mapping[Any, str] = {
    StepStatus.SUCCEEDED: "good",
    StepStatus.FAILED: "bad",
    StepStatus.LOST: "warn",
    StepStatus.RETRYING: "warn",
    StepStatus.CANCELED: "warn",
    StepStatus.SKIPPED: "off",
    StepStatus.NOT_RUN: "off",
    StepStatus.WAITING: "off",
    StepStatus.RUNNING: "live",
    RunStatus.SUCCESS: "good",
    RunStatus.FAILURE: "bad",
    RunStatus.CANCELED: "warn",
    RunStatus.CANCELING: "warn",
    RunStatus.NOT_STARTED: "off",
    RunStatus.QUEUED: "off",
}
_SIGN: Mapping[str, str] = {"good": "✓", "bad": "✕", "warn": "!", "off": "–", "live": "▸"}


def kind_of(status: StepStatus | RunStatus) -> str:
    """``good``, ``bad``, ``warn``, ``off`` or ``live``."""
    return _KIND.get(status, "live")


def sign_of(status: StepStatus | RunStatus) -> str:
    """One character."""
    return _SIGN[kind_of(status)]


def badge(status: StepStatus | RunStatus, text: str | None = None) -> Markup:
    """Sign and word."""
    sign = element("span", sign_of(status), aria_hidden="true")
    return element("span", sign, " ", text or str(status), class_=f"badge {kind_of(status)}")


def more(count: int, what: str, where: str = "") -> Markup | None:
    """``... and 12 more steps``, or nothing when none was left out."""
    if not count:
        return None
    return element("p", f"… and {count:,} more {what}{f': {where}' if where else ''}", class_="more")
