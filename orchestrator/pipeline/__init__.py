"""The one flow: arrival (intake, completion), routing, inference (flow), delivery.

Nothing is loaded here: the command line queues a job without loading what writes DICOM.
"""
