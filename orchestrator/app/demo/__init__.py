"""``orchestrator demo``: sample series, sample archive and the page that shows the results."""
