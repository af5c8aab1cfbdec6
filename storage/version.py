"""Which version of the schema a database has, and whether this library may use it.

Migrations expand first and contract one minor version later, so a library works on a database that was migrated by the next one:
the database says how old a library it still serves.
"""

from __future__ import annotations

from ..errors import RunplaneError
from ..errors.exit_codes import ExitCode
from .schema import SCHEMA_VERSION

VERSION_QUERY = "SELECT v.version_num, s.oldest FROM {schema_version} v CROSS JOIN {schema_serves} s"


class SchemaOutdatedError(RunplaneError):
    """The database was made by another version; the text names the command."""

    exit_code = ExitCode.VERSION_SKEW


class VersionSkewError(RunplaneError):
    """Processes of versions that do not understand each other meet in one run."""

    exit_code = ExitCode.VERSION_SKEW


LEVEL = "1.0"
"""Protocol level of this version: major.minor."""


def major(level: str) -> int:
    """The first number of a protocol level."""
    return int(level.split(".")[0])


def check_level(found: str | None, where: str) -> None:
    """Refuse to go on with a run that a later major version coordinated; a minor one is understood.

    Raises:
        VersionSkewError: it is of a later major version.
    """
    if found is not None and major(found) > major(LEVEL):
        raise VersionSkewError(
            "the run was coordinated by a newer runplane, and this one can not go on with it",
            where=where,
            got=f"protocol {found}",
            expected=f"protocol {LEVEL}",
            hint="Use the newer image for this run's workers.",
        )


def check_same_major(found: str | None, where: str) -> None:
    """Refuse to take part in a run that another major version coordinates: a step writes what its coordinator reads.

    Raises:
        VersionSkewError: it does.
    """
    if found is not None and major(found) != major(LEVEL):
        raise VersionSkewError(
            "the run is coordinated by another major version of runplane, and this one can not take part",
            where=where,
            got=f"protocol {found}",
            expected=f"protocol {LEVEL}",
            hint="Use images of one version for the run and its steps.",
        )


def check_version(found: str, oldest_served: str, where: str) -> None:
    """Refuse a database that this library can not use.

    Raises:
        SchemaOutdatedError: it is older than this library, or so new that it serves this one no longer.
    """
    if found < SCHEMA_VERSION:
        raise SchemaOutdatedError(
            "the database is of an older runplane",
            where=where,
            got=f"schema {found}",
            expected=f"schema {SCHEMA_VERSION}",
            hint="Run `runplane instance migrate`.",
        )
    if oldest_served > SCHEMA_VERSION:
        raise SchemaOutdatedError(
            f"the database was migrated by a newer runplane and serves versions from schema {oldest_served} on",
            where=where,
            got=f"schema {found}",
            expected=f"schema {SCHEMA_VERSION}",
            hint="Upgrade this installation: pip install --upgrade runplane",
        )
