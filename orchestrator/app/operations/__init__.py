"""What people order: retry, cancel, judge, retract, backfill, replay, explain."""
