"""Verdicts of people: one function for every way they come."""
