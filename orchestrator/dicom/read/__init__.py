"""Reads DICOM files: headers, geometry, grids and pixels; no object is written here."""
