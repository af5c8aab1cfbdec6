"""What can go wrong between a client and a Postgres server."""

from __future__ import annotations

LOCK_NOT_AVAILABLE = "55P03"
UNDEFINED_TABLE = "42P01"
_PASSING = ("08", "28", "40", "53", "54", "55", "57", "58")
"""Classes of SQLSTATE: connection, authorization at a pooler's server, rolled back, resources, limits, state, intervention, system."""
_PASSING_STATES = (
    "25006",  # read only: a standby that is being promoted
    "25P03",  # idle in a transaction for too long
)


class PostgresError(Exception):
    """Base of these errors."""

    @property
    def may_pass(self) -> bool:
        """Whether the same transaction may succeed when it is sent again, over a new connection."""
        return True


class ConnectionFailedError(PostgresError):
    """No connection could be opened, or it broke."""


class NoAnswerError(PostgresError):
    """The server said nothing within the time."""


class RefusedError(PostgresError):
    """The server refused a statement.

    Args:
        message: in the server's words.
        sqlstate: five characters, e.g. ``23505``; None where the server gave none.

    Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
    """

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate

    @property
    def may_pass(self) -> bool:
        """See ``PostgresError``."""
        state = self.sqlstate
        return state is None or state[:2] in _PASSING or state in _PASSING_STATES
