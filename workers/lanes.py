"""Which queues a worker may be started for. Without Celery, which takes a while to import."""

CHAINS = ("live", "history")
VENUES = "venues"
KINDS = {"cex": ("cex",), "broker": ("broker", "data"), VENUES: ("cex", "broker", "data")}
"""Lanes of venues by the kinds that they serve: exchanges and brokers apart, or both."""
ALL = "all"
LANES = (*CHAINS, *KINDS, ALL)
