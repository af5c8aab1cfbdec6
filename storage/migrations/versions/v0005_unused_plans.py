"""Plans say when they were used last, so that those that no run has any more can go; what the feed says of a run is found by the run."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
CONTRACTS_BELOW = None


def upgrade() -> None:
    """Add the column and the indexes. Plans that are there already count as used now: a run may be on its way to one."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table("plan", recreate="always" if is_sqlite else "never") as plan:
        plan.add_column(
            sa.Column(
                "used_at",
                sa.Float(precision=53),
                nullable=True,
                comment="when it was last stored for a run, an hour at most before; null: not known",
            )
        )
    op.get_bind().execute(sa.text("UPDATE plan SET used_at = :now"), {"now": time.time()})
    op.create_index("run_by_plan", "run", ["plan_id"], unique=False)
    op.create_index("feed_by_run", "feed", ["run_id"], unique=False)
