"""Writes structured reports (TID 1500); no pixels."""
