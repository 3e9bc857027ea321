"""What would a chain answer? One simulated node, from a seed or from recorded data, behind a list of faults."""
