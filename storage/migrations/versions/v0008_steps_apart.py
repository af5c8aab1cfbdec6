"""Queued steps may live apart from the worker that watches them (pods), and it is known when they were taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
CONTRACTS_BELOW = None


def upgrade() -> None:
    """Add the columns."""
    apart = sa.Column(
        "apart", sa.Integer(), server_default="0", nullable=False, comment="1: it goes on without its watcher"
    )
    op.add_column("queued_step", apart)
    taken = sa.Column(
        "taken", sa.Float(precision=53), nullable=True, comment="when a worker took it, the database's time"
    )
    op.add_column("queued_step", taken)
