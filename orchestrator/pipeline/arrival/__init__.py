"""From notification to queued job: what arrived, when a series is complete, which models it goes to."""
