"""The instance has an id: what it makes elsewhere (Jobs of a cluster) is told from what another instance made there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
CONTRACTS_BELOW = None


def upgrade() -> None:
    """Make the table. The id is drawn by whoever asks for it first."""
    op.create_table(
        "instance_identity",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False, comment="always 1"),
        sa.Column("id", sa.String(length=64), nullable=False, comment="UUID text"),
        sa.PrimaryKeyConstraint("one"),
    )
