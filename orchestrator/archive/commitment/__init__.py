"""Storage commitment: transactions, reports and pending reports; opens no associations."""
