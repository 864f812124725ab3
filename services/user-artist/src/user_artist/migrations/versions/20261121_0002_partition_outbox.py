"""Cut the outbox into days, so that what was published can be kept and then dropped whole.

The running release goes on with it: the table has its name, its columns and one more.
"""

from seda_messaging.migrations import partition_outbox, unpartition_outbox

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "user_artist"


def upgrade() -> None:
    partition_outbox(SCHEMA)


def downgrade() -> None:
    unpartition_outbox(SCHEMA)
