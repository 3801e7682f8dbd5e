"""Inference servers on the network, and the one way out to them; archives live elsewhere."""
