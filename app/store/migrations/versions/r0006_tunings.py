"""The table of tunings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "tunings",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("view", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    for name in ("state", "created_at"):
        op.create_index(f"ix_tunings_{name}", "tunings", [name])
