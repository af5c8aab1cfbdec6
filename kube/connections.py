"""urllib3, by which the official client speaks to a cluster too; where it is not installed, importing this says what to do."""

from __future__ import annotations

from ..errors import UnsupportedError

HINT = "Install it: pip install 'runplane[kubernetes]'."

try:
    import urllib3
    from urllib3.response import BaseHTTPResponse
except ImportError as error:
    raise UnsupportedError(
        f"Kubernetes needs the package `urllib3`, which can not be imported ({error}).", hint=HINT
    ) from error

__all__ = ["HINT", "BaseHTTPResponse", "urllib3"]
