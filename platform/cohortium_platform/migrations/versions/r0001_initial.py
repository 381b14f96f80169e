"""The first revision: every table of every layer, with its protection.

Until the first release it follows the models, so that a database made from it always equals them; from that release on
it is frozen, and a change of a model comes with a revision of its own.
"""

from alembic import op

from cohortium_platform.database import metadata
from cohortium_platform.migrations.protection import READ_ONLY_FUNCTION, import_models, protection_of

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything."""
    import_models()
    metadata.create_all(op.get_bind(), checkfirst=False)
    op.execute(READ_ONLY_FUNCTION)
    for table in metadata.sorted_tables:
        for statement in protection_of(table.name):
            op.execute(statement)


def downgrade() -> None:
    """Remove everything."""
    import_models()
    metadata.drop_all(op.get_bind(), checkfirst=False)
    op.execute("DROP FUNCTION refuse_while_read_only()")
