"""The queue, the launches that are under way, and the daemons."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
CONTRACTS_BELOW = None
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables. Runs that wait or are being launched are put into them by whoever does that from now on."""
    op.create_table(
        "queue",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False, comment="minus the priority: the smallest comes first"),
        sa.Column("at", sa.Float(precision=53), nullable=False, comment="when it was enqueued"),
        sa.Column(
            "parked", sa.Text(), nullable=True, comment="the full limit that it waits for; null: to be looked at"
        ),
        sa.Column(
            "pools",
            sa.Text(),
            nullable=True,
            comment="pools of its first steps, JSON; null: some first step needs none",
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index(
        "queue_order",
        "queue",
        ["rank", "at", "run_id"],
        unique=False,
        sqlite_where=sa.text("parked IS NULL"),
        postgresql_where=sa.text("parked IS NULL"),
    )
    op.create_index("queue_parked", "queue", ["parked", "rank", "at", "run_id"], unique=False)
    op.create_table(
        "launch",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False, comment="when it was taken from the queue"),
        sa.Column("daemon", sa.Text(), nullable=True, comment="who launches it; null: nobody yet"),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("launch_by_daemon", "launch", ["daemon", "at"], unique=False)
    op.create_table(
        "daemon",
        sa.Column("daemon_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False, comment="its process, JSON"),
        sa.Column("beat", BIG, server_default="0", nullable=False),
        sa.Column(
            "at", sa.Float(precision=53), nullable=False, comment="of the newest beat, the database's time; for people"
        ),
        sa.Column("body", sa.Text(), nullable=False, comment="how its loops are, JSON"),
        sa.PrimaryKeyConstraint("daemon_id"),
    )
    op.create_index(
        "request_open",
        "request",
        ["kind", "at"],
        unique=False,
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    )
