"""Reads written objects back for display: summaries, overlays, heat maps, pictures."""
