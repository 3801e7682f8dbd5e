"""Every kind of source and result that the host can meet, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from orchestrator.dicom import Syntax, WriteOptions, write_objects
from orchestrator.dicom.objects.write_options import WORDS
from orchestrator.domain.model import Geometry
from tests.data.enhanced import enhanced_ct, enhanced_mr
from tests.data.faults import odd_headers, of_class
from tests.data.projection import cr_image, secondary_capture, us_cine
from tests.data.series import Patient, ct_series, mr_series, pet_series
from tests.parts.dicom.written import (
    MODEL,
    Written,
    detections,
    everything,
    everything_and_maps,
    heat_maps,
    image_by_image,
    images_beside_places,
    job,
    left_breast,
    nothing,
    one_segment,
    placeless,
    write_result,
)

JAPANESE = Patient(name="Yamada^Tarou=山田^太郎=やまだ^たろう", character_set="\\ISO 2022 IR 87")

RETIRED_ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6"

KINDS: dict[str, Callable[[Path], Written]] = {
    "CT axial": lambda at: write_result(ct_series(at / "in"), everything, at),
    "CT oblique": lambda at: write_result(ct_series(at / "in", orientation="oblique"), everything, at),
    "CT reversed": lambda at: write_result(ct_series(at / "in", order="reversed"), everything, at),
    "CT shuffled, feet first": lambda at: write_result(
        ct_series(at / "in", order="shuffled", orientation="feet-first"), everything, at
    ),
    "CT with a gantry tilt": lambda at: write_result(ct_series(at / "in", tilt_degrees=12.0), everything, at),
    "CT with missing slices": lambda at: write_result(
        ct_series(at / "in", missing=[8, 13]), everything, at, geometry=Geometry.STACK
    ),
    "CT anisotropic": lambda at: write_result(ct_series(at / "in", spacing=(5.0, 1.3, 0.4)), everything, at),
    "CT of odd size": lambda at: write_result(ct_series(at / "in", rows=37, columns=51), everything, at),
    "CT as single images": lambda at: write_result(
        ct_series(at / "in", slices=3), everything, at, geometry=Geometry.IMAGE
    ),
    "CT, Japanese name": lambda at: write_result(ct_series(at / "in", patient=JAPANESE), everything, at),
    "CT with odd headers": lambda at: write_result(odd_headers(at / "in"), everything, at),
    "MR sagittal": lambda at: write_result(mr_series(at / "in", orientation="sagittal"), everything, at),
    "PET": lambda at: write_result(pet_series(at / "in"), everything, at),
    "enhanced CT": lambda at: write_result([enhanced_ct(at / "in")], everything, at),
    "enhanced MR": lambda at: write_result([enhanced_mr(at / "in")], everything, at),
    "CR": lambda at: write_result([cr_image(at / "in")], everything, at, geometry=Geometry.IMAGE),
    "DX": lambda at: write_result([cr_image(at / "in", modality="DX")], everything, at, geometry=Geometry.IMAGE),
    "MG": lambda at: write_result([cr_image(at / "in", modality="MG")], left_breast, at, geometry=Geometry.IMAGE),
    "ultrasound loop": lambda at: write_result([us_cine(at / "in")], everything, at, geometry=Geometry.IMAGE),
    "ultrasound of a retired class": lambda at: write_result(
        of_class([secondary_capture(at / "in")], RETIRED_ULTRASOUND), everything, at, geometry=Geometry.IMAGE
    ),
    "secondary capture": lambda at: write_result(
        [secondary_capture(at / "in")], everything, at, geometry=Geometry.IMAGE
    ),
    "one segment": lambda at: write_result(ct_series(at / "in"), one_segment, at),
    "plain Comprehensive SR": lambda at: write_result(
        ct_series(at / "in"), everything, at, options=WriteOptions(comprehensive_3d=False)
    ),
    "implicit VR": lambda at: write_result(
        ct_series(at / "in"), everything, at, options=WriteOptions(syntax=Syntax.IMPLICIT)
    ),
    "detections": lambda at: write_result([cr_image(at / "in")], detections, at, geometry=Geometry.IMAGE),
    "images beside places": lambda at: write_result(ct_series(at / "in"), images_beside_places, at),
    "image by image": lambda at: write_result(ct_series(at / "in"), image_by_image, at),
    "loop, frame by frame": lambda at: write_result([us_cine(at / "in")], image_by_image, at, geometry=Geometry.IMAGE),
    "without a place": lambda at: write_result(ct_series(at / "in"), placeless, at),
    "negative": lambda at: write_result(ct_series(at / "in"), nothing, at),
    "maps": lambda at: write_result(ct_series(at / "in", order="reversed"), heat_maps, at),
    "maps, oblique and anisotropic": lambda at: write_result(
        ct_series(at / "in", orientation="oblique", spacing=(5.0, 1.3, 0.4)), everything_and_maps, at
    ),
    "maps with missing slices": lambda at: write_result(
        ct_series(at / "in", missing=[8, 13], orientation="feet-first"), heat_maps, at, geometry=Geometry.STACK
    ),
    "maps, enhanced MR, oblique": lambda at: write_result(
        [enhanced_mr(at / "in", orientation="oblique")], everything_and_maps, at
    ),
    "maps, implicit VR": lambda at: write_result(
        pet_series(at / "in"), heat_maps, at, options=WriteOptions(syntax=Syntax.IMPLICIT)
    ),
    "maps of radiographs": lambda at: write_result(
        [cr_image(at / "in", number=number) for number in (1, 2)], heat_maps, at, geometry=Geometry.IMAGE
    ),
}
MAPPED = tuple(kind for kind in KINDS if kind.startswith("maps"))
MAPS_ALONE = ("maps", "maps with missing slices", "maps, implicit VR", "maps of radiographs")
UNPLACED = ("image by image", "loop, frame by frame", "without a place", "negative", *MAPS_ALONE)
SEGMENTED = tuple(kind for kind in KINDS if kind not in {"detections", *UNPLACED})
NOT_PLACED = ("CR", "DX", "MG", "ultrasound loop", "ultrasound of a retired class", "secondary capture")
PLACED = tuple(kind for kind in SEGMENTED if kind not in {*NOT_PLACED, "CT as single images"})


def with_every_object(kind: str, at: Path) -> Written:
    """Return the objects of a kind, with those that a destination gets only where it is set to."""
    done = KINDS[kind](at)
    options = WriteOptions(objects=frozenset(WORDS.values()))
    objects = write_objects(
        list(zip(done.grids, done.results, strict=True)), job=job(), model=MODEL, folder=at, options=options
    )
    return replace(done, objects=objects)
