"""One job: its queue, its inference, its control by people, and its reconciliation with the engine."""
