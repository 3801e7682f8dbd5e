"""TLS contexts, certificates and bounded HTTP requests for all connections to other machines.

Nothing here knows DICOM, archives, model servers or settings; callers turn the faults into messages.
"""
