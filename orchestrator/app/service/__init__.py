"""``orchestrator serve``: the supervisor and its roles."""
