"""What happened: run statuses, the closed set of events, runs, origins and request documents.

Admission test: it is plain data about something that happened or was asked for. It opens nothing, decides nothing and knows
no database, no process and no user code. Import from the modules; this `__init__` re-exports the names that everybody uses.
"""

from .event import Event, NewEvent
from .kinds import Category, EventKind, category_of
from .run import Run
from .status import RunStatus

__all__ = ["Category", "Event", "EventKind", "NewEvent", "Run", "RunStatus", "category_of"]
