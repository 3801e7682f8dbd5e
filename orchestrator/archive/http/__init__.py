"""HTTP, TLS and multipart for every archive that speaks HTTP; nothing of DICOM."""
