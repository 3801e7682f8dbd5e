"""Verdicts of radiologists in DICOM: reads their documents, writes attestations and rejection notes."""
