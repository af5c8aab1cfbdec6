"""What is raised, how it reads, and which exit code it becomes.

Admission test: it could be raised by any other package, and it imports none of them. An error that only one package can
raise lives in that package and derives from :class:`RunplaneError`.

Every message says where, what it got, what it expected, the nearest known name and what to do next::

    RunplaneError
    ├── DagsterError            what has a name in Dagster; most of them are in definitions/errors.py
    │   └── ConfigErrors        several problems of one document, each with its path
    ├── DocumentError           a request or stored document that can not be read
    ├── NotFoundError           no such run, job, step, file
    ├── ConflictError           the state does not allow it (an arc that is not in the table)
    │   └── FencedError         somebody newer has the authority
    ├── StorageUnavailableError the database does not answer
    └── UnsupportedError        not here: platform, version, a part that is not installed or not built yet
"""

from .base import (
    ConfigErrors,
    ConflictError,
    DagsterError,
    DocumentError,
    FencedError,
    NotFoundError,
    RunplaneError,
    StorageUnavailableError,
    UnsupportedError,
)
from .problems import Problem, Problems
from .suggest import nearest

__all__ = [
    "ConfigErrors",
    "ConflictError",
    "DagsterError",
    "DocumentError",
    "FencedError",
    "NotFoundError",
    "Problem",
    "Problems",
    "RunplaneError",
    "StorageUnavailableError",
    "UnsupportedError",
    "nearest",
]
