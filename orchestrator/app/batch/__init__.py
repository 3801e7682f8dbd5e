"""A folder processed once: ``orchestrator run`` and what came of it."""
