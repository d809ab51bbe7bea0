"""The table of experiments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "experiments",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("claim", sa.String(64), nullable=False),
        sa.Column("answer", sa.String(32)),
        sa.Column("view", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    for name in ("state", "created_at", "claim"):
        op.create_index(f"ix_experiments_{name}", "experiments", [name])
