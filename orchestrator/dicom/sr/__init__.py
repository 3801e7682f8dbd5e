"""Builds structured reports (TID 1500). No pixels."""
