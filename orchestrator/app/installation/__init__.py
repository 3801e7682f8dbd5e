"""One installation put together from its settings: paths, connections, ledger, logs and host."""
