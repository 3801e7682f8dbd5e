"""The key image of a CT as an archive gets it; its picture stands in the documentation."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from orchestrator.dicom import WriteOptions
from orchestrator.domain.concepts import codes
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import Finding, Result, Segment, Urgency
from tests.data.series import ct_series
from tests.e2e.web.conftest import PICTURES
from tests.parts.dicom.written import Written, write_result

COLOUR = (255, 90, 60)


def written(folder: Path) -> Written:
    """Return a result of a segment that shows an urgent finding, on images in the window of soft tissue."""
    window = {"WindowCenter": "100", "WindowWidth": "500"}
    images = ct_series(folder / "in", slices=40, rows=256, columns=256, attributes=window)
    masks = np.stack([dcmread(path).pixel_array > 1200 for path in images])
    finding = Finding(codes["mass"], score=0.91, urgency=Urgency.IMMEDIATE, segment="Lesion")
    result = Result((Segment("Lesion", masks, codes["mass"], colour=COLOUR),), (finding,))
    return write_result(images, lambda _: result, folder, options=WriteOptions(objects=frozenset({ObjectKind.SC})))


@pytest.mark.browser  # with the tests that make the pictures of the documentation
def test_a_key_image_says_what_it_shows_and_that_nobody_has_verified_it(tmp_path: Path) -> None:
    pixels = dcmread(written(tmp_path).path(ObjectKind.SC)).pixel_array
    folder = PICTURES if os.environ.get("DOCS_PICTURES") == "1" else PICTURES.parents[1] / "test-output"
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / "key-image.png")
    assert (pixels == COLOUR).all(axis=-1).any()
    assert pixels[:24].max() > 200
