"""Remembers: runs, events, attempts, slots, compute logs.

Admission test: it stores or reads back what somebody else decided, and enforces who may write. It knows no user code, no plan
compiler, no process. Nothing outside this package writes an event.

The rules are written once (``rules.py``) as guarded statements that SQLite runs one by one and Postgres in one pipelined round
trip (``sqlite.py``, ``postgres.py``); ``journal.py`` is what the rest of the house calls.
"""

MEMORY_FOLDER = "runplane-logs-"
"""How the folders of logs in memory (``memory_spool``) begin: who has no such log need not load what waits for room."""
