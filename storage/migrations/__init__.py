"""Alembic's migrations, for both databases. Admission test: only ``storage/migrate.py`` loads this; no run does.

Each file in ``versions/`` says, beside what alembic wants, ``CONTRACTS_BELOW``: None where it only adds; or the protocol level below
which live runs would break, where it takes something away.
"""
