"""Warm model processes: which model runs where, and its requests."""
