"""Reads the images of a series: which are read, grids, units, pixels. No object is written here."""
