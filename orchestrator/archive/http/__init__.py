"""HTTP requests and multipart bodies for archives; independent of DICOM."""
