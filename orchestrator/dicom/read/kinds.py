"""Tells images from the other objects of a series, by SOP class, Modality and contributing equipment."""

from __future__ import annotations

from orchestrator.dicom.headers.attributes import text
from orchestrator.domain.series import Headers, Instance

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_NO_IMAGES = tuple(
    _STORAGE + family
    for family in (
        *("4.2", "9.", "11.", "30", "66", "67", "68.", "78.", "79.", "80.", "88.", "90.", "91.", "104.", "200."),
        "481.",
    )
)
"""Spectra, waveforms, presentation states, maps, segmentations, reports, documents, protocols, plans (PS3.4 B.5)."""

_NO_IMAGE_MODALITIES = frozenset(
    (
        *("ANN", "ASMT", "AU", "DOC", "ECG", "FID", "KO", "M3D", "PLAN", "PR", "REG", "RTDOSE", "RTIMAGE", "RTPLAN"),
        *("RTRECORD", "RTSTRUCT", "RWV", "SEG", "SMR", "SR", "SRF"),
    )
)


def is_image(instance: Instance) -> bool:
    """Return True for an image with pixels; SEG, SR, KO, PR, dose and plan are no images."""
    return instance.pixels is not None and not _is_no_image(instance.sop_class, instance.headers)


def lacks_pixels(instance: Instance) -> bool:
    """Return True for an image without pixels, e.g. a truncated copy; reports and plans need no pixels."""
    standard = instance.sop_class.startswith(_STORAGE)
    return instance.pixels is None and standard and not _is_no_image(instance.sop_class, instance.headers)


def may_be_image(instance: Instance) -> bool:
    """Return True for an image with or without pixels; a series of other objects matches no rule."""
    return is_image(instance) or lacks_pixels(instance)


def machine_written(of: Instance | Headers) -> bool:
    """Return True for an object that must not be the input of a model.

    Its contributing equipment is Processing Equipment (109102, DCM), as in objects of this host and of other AI;
    or it is not an image (SEG, SR, KO, PR ...).
    """
    headers = of.headers if isinstance(of, Instance) else of
    sop_class = of.sop_class if isinstance(of, Instance) else text(of, "SOPClassUID")
    return "MachineWritten" in headers or _is_no_image(sop_class, headers)


def _is_no_image(sop_class: str, headers: Headers) -> bool:
    return sop_class.startswith(_NO_IMAGES) or text(headers, "Modality").upper() in _NO_IMAGE_MODALITIES
