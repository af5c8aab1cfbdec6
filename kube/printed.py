"""Takes out of what pods print what looks like a secret, before it is stored as an event."""

from __future__ import annotations

import re

LOG_LINES = 25
LOG_CHARACTERS = 8000
"""How much of the end of what a pod printed is kept."""
MASK = "[hidden]"
# Nothing here may look at the same text again and again: a pod may print a line without a blank that has no end.
_USER_INFO = re.compile(r"(?P<before>://[^\s:/@]*:)[^\s/@]+(?=@)")
_NAMED = re.compile(
    r"(?P<before>(?:password|passwd|secret|token|access[_-]?key|api[_-]?key|credential)[\w.-]{0,100}[\"']?\s*[=:]\s*[\"']?)"
    r"[^\s\"',;}]+",
    re.IGNORECASE,
)


def told_last(text: str) -> str:
    """The end of what was printed, with the words before it; empty: nothing was."""
    return f"It printed last:\n{text[-LOG_CHARACTERS:]}" if text else ""


def without_secrets(text: str) -> str:
    """The text with passwords of URLs, and values of what is named like a secret, masked."""
    return _NAMED.sub(rf"\g<before>{MASK}", _USER_INFO.sub(rf"\g<before>{MASK}", text))
