"""Storage commitment: its transactions, pending reports and reports; no associations."""
