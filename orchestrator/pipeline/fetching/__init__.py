"""Series that the host fetches itself: watched archives and backfills."""
