"""Writes key images, key objects and presentation states; no segmentations and no reports."""
