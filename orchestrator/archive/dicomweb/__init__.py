"""Archives that are accessed by DICOMweb (QIDO-RS, WADO-RS, STOW-RS)."""
