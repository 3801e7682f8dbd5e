"""Requests and multipart bodies for every archive that speaks HTTP; nothing of DICOM."""
