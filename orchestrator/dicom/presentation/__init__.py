"""Builds key images, key object selections and presentation states."""
