"""Reads DICOM files: headers, geometry, grids and pixels. No object is written here."""
