"""``orchestrator run``: processes a folder once and reports the outcomes."""
