"""Reads a radiologist's documents and writes verdicts and rejection notes."""
