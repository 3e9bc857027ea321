"""What alembic runs. The open connection is handed over in `attributes`; `indexer.store.migrate` makes it."""

from alembic import context

from indexer.store.migrate import OPTIONS

context.configure(connection=context.config.attributes["connection"], **OPTIONS)
with context.begin_transaction():
    context.run_migrations()
