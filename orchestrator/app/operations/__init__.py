"""What a person asks for: verdicts, retry, cancel, retract, backfill, replay, explain. No pages, no printing."""
