"""For tests, ours and users: the simulator, the store contract, waiting for a condition."""
