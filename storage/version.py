"""Which version of the schema a database has, and whether this library may use it."""

from __future__ import annotations

from ..errors import RunplaneError
from ..errors.exit_codes import ExitCode
from .schema import SCHEMA_VERSION


class SchemaOutdatedError(RunplaneError):
    """The database was made by another version; the text names the command."""

    exit_code = ExitCode.VERSION_SKEW


def check_version(found: str, where: str) -> None:
    """Refuse a database of another version.

    Raises:
        SchemaOutdatedError: it is older or newer than this library.
    """
    if found == SCHEMA_VERSION:
        return
    if found > SCHEMA_VERSION:
        raise SchemaOutdatedError(
            "the database was migrated by a newer runplane", where=where, got=found, expected=SCHEMA_VERSION,
            hint="Upgrade this installation.",
        )
    raise SchemaOutdatedError(
        "the database is of an older runplane", where=where, got=found, expected=SCHEMA_VERSION,
        hint="Run `runplane instance migrate`.",
    )
