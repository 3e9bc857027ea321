"""How the database came to be, one file a step, forward only. Read by `indexer.store.migrate`."""
