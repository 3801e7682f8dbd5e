"""Starts, cages and ends one model process."""
