"""Clients of model servers, and the egress check that every request passes. Archives live elsewhere."""
