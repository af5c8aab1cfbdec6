"""Takes out of what pods print what looks like a secret, before it is stored as an event."""

from __future__ import annotations

import re

MASK = "[hidden]"
_USER_INFO = re.compile(r"(?P<before>\w[\w+.-]*://[^\s:/@]*:)[^\s/@]+(?=@)")
_NAMED = re.compile(
    r"(?P<before>[\w.-]*(?:password|passwd|secret|token|access[_-]?key|api[_-]?key|credential)[\w.-]*[\"']?\s*[=:]\s*[\"']?)"
    r"[^\s\"',;}]+",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """The text with passwords of URLs, and values of what is named like a secret, masked."""
    return _NAMED.sub(rf"\g<before>{MASK}", _USER_INFO.sub(rf"\g<before>{MASK}", text))
