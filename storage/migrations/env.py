"""Run by alembic: applies migrations on the connection that ``migrate.py`` hands over."""

from __future__ import annotations

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    version_table="schema_version",
    version_table_schema=attributes["schema"],
    version_table_pk=True,
    transaction_per_migration=False,
)
context.run_migrations()
