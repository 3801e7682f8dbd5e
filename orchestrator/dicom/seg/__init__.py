"""Builds Segmentation and Parametric Map objects. No reports."""
