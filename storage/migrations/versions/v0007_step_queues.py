"""Queues of steps that workers take from, and the workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
CONTRACTS_BELOW = None
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "step_queue",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("taken", BIG, nullable=False, comment="this row is the lock under which a queue's slots are counted"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "queued_step",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False, comment="minus the priority: the smallest comes first"),
        sa.Column("at", sa.Float(precision=53), nullable=False, comment="when it was put there, the database's time"),
        sa.Column("body", sa.Text(), nullable=False, comment="what its watcher is to start, JSON"),
        sa.Column("watcher", sa.Text(), nullable=True, comment="the worker that took it; null: nobody yet"),
        sa.Column(
            "token", sa.Text(), nullable=True, comment="of that taking, so that a lost reply can be asked for again"
        ),
        sa.Column(
            "stop",
            sa.Float(precision=53),
            nullable=True,
            comment="it is to end: seconds between asking and killing",
        ),
        sa.Column("ended", sa.Text(), nullable=True, comment="what the watcher says of its end, JSON"),
        sa.PrimaryKeyConstraint("run_id", "step", "n"),
    )
    op.create_index("queued_step_order", "queued_step", ["queue", "rank", "at"], unique=False)
    op.create_index("queued_step_by_watcher", "queued_step", ["watcher"], unique=False)
    op.create_table(
        "step_worker",
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False, comment="its process, JSON"),
        sa.Column("beat", BIG, server_default="0", nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False, comment="of the newest beat, the database's time"),
        sa.Column("body", sa.Text(), nullable=False, comment="its name, versions and levels, JSON"),
        sa.PrimaryKeyConstraint("worker_id", "queue"),
    )
    op.create_index("step_worker_by_queue", "step_worker", ["queue"], unique=False)
