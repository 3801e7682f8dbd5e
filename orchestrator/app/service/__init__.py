"""``orchestrator serve``: the supervisor and the roles of the service."""
