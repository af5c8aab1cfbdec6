"""An API server as a client of it sees it: where it is, by which connections it is reached, and what it is told of us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from .connections import urllib3


class Endpoint(Protocol):
    """One server, as its configuration was when it was read.

    Attributes:
        host: scheme, host and port.
        ssl_ca_cert: a file with the authorities that are trusted; None: the system's.
    """

    @property
    def host(self) -> str:
        """See above."""

    ssl_ca_cert: str | None

    def pool(self, size: int) -> urllib3.PoolManager:
        """Connections to it, `size` of which are kept. Made once: what is set afterwards has no effect on it."""

    def headers(self) -> Mapping[str, str]:
        """Who we are, with each request: a token that is about to expire is another one then."""
