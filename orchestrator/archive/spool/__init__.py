"""Received instances on disk and the notifications about them; no network."""
