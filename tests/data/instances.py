"""Instances as read_instance describes them, of files that lie nowhere."""

from pathlib import Path

from orchestrator.domain.series import Instance, PixelLocation, Plane

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
HEADERS = {
    "Modality": ("CT",),
    "PatientID": ("PHANTOM-1",),
    "PatientName": ("Phantom^Synthetic",),
    "Rows": (16,),
    "Columns": (16,),
    "SamplesPerPixel": (1,),
    "PhotometricInterpretation": ("MONOCHROME2",),
    "BitsAllocated": (16,),
    "BitsStored": (16,),
    "HighBit": (15,),
    "PixelRepresentation": (1,),
    "RescaleSlope": (1.0,),
    "RescaleIntercept": (-1024.0,),
    "AcquisitionNumber": (1,),
    "ImageOrientationPatient": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "PixelSpacing": (0.8, 0.7),
}


def image(number: int, at: float, *, sop_class: str = CT_CLASS, **headers) -> Instance:
    """An axial image at z = ``at`` mm, as read_instance describes it; nothing lies on disk."""
    said = HEADERS | {"InstanceNumber": (number,), "ImagePositionPatient": (0.0, 0.0, at)}
    said |= {key: value if isinstance(value, tuple) else (value,) for key, value in headers.items()}
    return Instance(
        study_uid="1.2.1",
        series_uid="1.2.2",
        sop_uid=f"1.2.3.{number}",
        sop_class=sop_class,
        path=Path(f"/nowhere/{number}.dcm"),
        digest=f"{number:064}",
        plane=Plane((0.0, 0.0, at), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.8, 0.7)),
        headers={key: value for key, value in said.items() if value != (None,)},
        pixels=PixelLocation("1.2.840.10008.1.2.1", "PixelData", 1000, 512, 1512),
    )


def images(*places: float, **headers) -> list[Instance]:
    """Images at these places, numbered from 1, each with these headers."""
    return [image(number, at, **headers) for number, at in enumerate(places, start=1)]
