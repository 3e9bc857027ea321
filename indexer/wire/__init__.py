"""How bytes travel: nodes, budgets, wake-ups, redaction."""
