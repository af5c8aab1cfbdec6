"""Each step of a plan can be read by itself.

Plans that are there already are divided when the first of their steps is read.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
CONTRACTS_BELOW = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "plan_step",
        sa.Column("plan_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "reads",
            sa.Text(),
            nullable=False,
            comment="steps whose outputs it reads first: [step, own mapping key only]",
        ),
        sa.Column(
            "body", sa.Text(), nullable=False, comment="the step and what of the plan its inputs are made from, JSON"
        ),
        sa.PrimaryKeyConstraint("plan_id", "step"),
        sqlite_with_rowid=False,
    )
