"""Everything `gazetteer up` needs on one machine."""
