"""Reads written objects back, for pictures and pages; writes no object."""
