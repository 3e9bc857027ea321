"""The processes: who runs it, when, how many."""
