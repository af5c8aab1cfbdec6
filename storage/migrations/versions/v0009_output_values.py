"""Values of outputs are kept here where pods share nothing else, and the instance of a run whose pods read the storage only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
CONTRACTS_BELOW = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "output_value",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("mapping_key", sa.Text(), nullable=False, comment="empty for an output that is not dynamic"),
        sa.Column("asset_key", sa.Text(), nullable=True, comment="the asset that it is, as text"),
        sa.Column("at", sa.Float(precision=53), nullable=False, comment="when it was stored, the database's time"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "step", "n", "output", "mapping_key"),
    )
    op.create_index("output_value_by_asset", "output_value", ["asset_key", "at"], unique=False)
    op.create_table(
        "run_instance",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="the instance that launched it, as a document"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
    )
