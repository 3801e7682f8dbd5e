"""The result of a model on one grid, combined with the images of that grid. No DICOM object is built here."""
