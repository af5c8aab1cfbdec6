"""The first schema.

Never changed again: later versions are migrations of their own.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
CONTRACTS_BELOW = None
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "attempt",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("retry_number", sa.Integer(), server_default="0", nullable=False),
        sa.Column("nonce", sa.String(length=40), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("batch", BIG, server_default="0", nullable=False, comment="newest batch of the attempt's own writer"),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("cause", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "step", "n"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event",
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=True),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("written_at", sa.Float(precision=53), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", "run_id", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "event_outputs",
        "event",
        ["run_id", "step"],
        unique=False,
        sqlite_where=sa.text("kind = 'STEP_OUTPUT'"),
        postgresql_where=sa.text("kind = 'STEP_OUTPUT'"),
    )
    op.create_table(
        "feed",
        sa.Column("id", BIG, autoincrement=True, nullable=False, comment="order of insertion; not an order to read by"),
        sa.Column("number", BIG, nullable=True, comment="given afterwards by one sequencer; null until then"),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("feed_by_number", "feed", ["number"], unique=True)
    op.create_index(
        "feed_unnumbered",
        "feed",
        ["id"],
        unique=False,
        sqlite_where=sa.text("number IS NULL"),
        postgresql_where=sa.text("number IS NULL"),
    )
    op.create_table(
        "feed_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", BIG, nullable=False, comment="newest number given; this row is the sequencer's lock"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("fence", BIG, server_default="0", nullable=False),
        sa.Column("beat", BIG, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "plan",
        sa.Column("plan_id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="zlib of the JSON text"),
        sa.PrimaryKeyConstraint("plan_id"),
    )
    op.create_table(
        "pool",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=True, comment="null: no limit"),
        sa.Column("used", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "is_default", sa.Integer(), server_default="0", nullable=False, comment="made from the default limit"
        ),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "request",
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("done_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_index("request_by_run", "request", ["run_id"], unique=False)
    op.create_table(
        "run",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("job_name", sa.Text(), nullable=False),
        sa.Column("root_run_id", sa.String(length=64), nullable=True),
        sa.Column("parent_run_id", sa.String(length=64), nullable=True),
        sa.Column("plan_id", sa.String(length=40), nullable=True),
        sa.Column("body", sa.Text(), nullable=False, comment="origin, run config, selections: kind run, version 1"),
        sa.Column("handle", sa.Text(), nullable=True, comment="where its worker is, as its launcher said; JSON"),
        sa.Column("started_at", sa.Float(precision=53), nullable=True),
        sa.Column("ended_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("run_by_creation", "run", ["created_at", "run_id"], unique=False)
    op.create_index("run_by_job", "run", ["job_name", "created_at"], unique=False)
    op.create_index("run_by_root", "run", ["root_run_id"], unique=False)
    op.create_table(
        "schema_serves",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "oldest",
            sa.String(length=32),
            nullable=False,
            comment="oldest schema version whose library may use this database",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "run_head",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="of the run's creation, days since the epoch"),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column(
            "intent", sa.String(length=16), server_default="none", nullable=False, comment="none, cancel, deadline"
        ),
        sa.Column("level", sa.String(length=16), nullable=True, comment="protocol level of the coordinator"),
        sa.Column("epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("head", BIG, server_default="0", nullable=False, comment="number of the newest event"),
        sa.Column("batch", BIG, server_default="0", nullable=False, comment="newest batch of the coordinator"),
        sa.Column(
            "taken",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="accepted ops of that batch: index:first number",
        ),
        sa.Column("mark", BIG, server_default="0", nullable=False, comment="which op of the transaction is at work"),
        sa.Column(
            "clock",
            sa.Float(precision=53),
            server_default="0",
            nullable=False,
            comment="time of the newest transaction, never falls",
        ),
        sa.Column("beat", BIG, server_default="0", nullable=False),
        sa.Column("resumes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True, comment="the coordinator's process, JSON"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index("run_head_by_status", "run_head", ["status"], unique=False)
    op.create_table(
        "run_tag",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "key"),
    )
    op.create_index("run_tag_by_value", "run_tag", ["key", "value"], unique=False)
    op.create_table(
        "slot",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pool"],
            ["pool.name"],
        ),
        sa.PrimaryKeyConstraint("run_id", "step", "n", "pool"),
    )
    op.create_index("slot_by_pool", "slot", ["pool"], unique=False)
    op.execute("INSERT INTO feed_head (id, last) VALUES (1, 0)")
    op.execute("INSERT INTO schema_serves (id, oldest) VALUES (1, '0001')")
