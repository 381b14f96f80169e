"""What Alembic runs. Not here: any choice; `upgrade` hands over the connection."""

from alembic import context

from cohortium_platform.database import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
