"""Archives asked by DICOMweb (QIDO-RS, WADO-RS, STOW-RS)."""
