"""What stood here belongs to a domain, whose own migrations make it where it is not there yet."""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Nothing."""
