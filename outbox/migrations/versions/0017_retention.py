"""Contents apart from what recognises: partitions by time, dropped by their age."""

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add their tables, what keeps them in order, and the first partitions. No row that is there is touched."""
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
