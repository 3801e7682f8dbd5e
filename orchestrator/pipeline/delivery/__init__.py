"""Delivery of results and rejection notes to destinations; the ledger is its only queue.

Nothing is loaded here: the command line acts on deliveries without loading what writes DICOM.
"""
