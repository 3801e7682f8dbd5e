"""The role engine: its loop and the work beside it."""
