"""Events of assets, found by asset: what is the newest materialization, observation, evaluation of a check.

Events that were stored before are not put there: a run that makes the asset again does.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
CONTRACTS_BELOW = None
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BY_BYTES = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "asset_event",
        sa.Column("asset_key", BY_BYTES, nullable=False, comment="text: a/b"),
        sa.Column("kind", sa.Text(), nullable=False, comment="materialized, observed, or evaluated"),
        sa.Column("check_name", sa.Text(), server_default="", nullable=False, comment="of an evaluation"),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "seq"),
    )
    op.create_index(
        "asset_event_newest", "asset_event", ["asset_key", "kind", "check_name", "at", "run_id", "seq"], unique=False
    )
