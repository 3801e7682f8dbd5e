"""Writes Segmentation and Parametric Map objects; no reports."""
