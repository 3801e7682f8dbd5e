"""No plugin input ever makes a signed document, whatever it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.dicom import Grid
from orchestrator.domain.checks import LATERALITIES
from orchestrator.domain.code import Code
from orchestrator.domain.concepts import codes
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import Finding, Measurement, Presence, Region, Result, Segment, Urgency
from tests.data.series import ct_series
from tests.parts.dicom.written import MODEL, write_result

SHAPE = (2, 8, 8)
words = st.sampled_from(["VERIFIED", "FINAL", "VerificationFlag", "(0040,A493)", "accepted by Dr^House"])
letters = st.characters(exclude_categories=("C", "Z"), exclude_characters="\\")
texts = words | st.text(letters, min_size=1, max_size=64)
values = st.from_regex(r"[A-Za-z0-9.-]{1,20}", fullmatch=True)
schemes = st.sampled_from(["SCT", "DCM", "99ORCH", "99X"])
coded = st.builds(Code, values, schemes, texts) | st.sampled_from(list(codes.values()))
numbers = st.floats(0, 1, allow_nan=False)
maybe = st.none()
masks = st.sampled_from([np.zeros(SHAPE, bool), np.ones(SHAPE, bool), np.indices(SHAPE).sum(axis=0) % 2 == 0])
segments = st.builds(
    Segment, texts, masks, coded, coded, maybe | coded, maybe | st.sampled_from(sorted(LATERALITIES, key=str))
)
places = st.builds(
    Region.point, st.integers(0, 1), st.floats(0, 7), st.floats(0, 7), score=maybe | numbers, label=texts
)
findings = st.builds(
    Finding,
    coded,
    st.sampled_from(Presence),
    maybe | numbers,
    maybe | numbers,
    maybe | coded,
    maybe,
    maybe | st.sampled_from(Urgency),
    st.lists(places, max_size=3),
)
measurements = st.builds(
    Measurement,
    coded,
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["mm", "ml", "1"]),
    maybe,
    texts,
)
results = st.builds(
    Result,
    st.lists(segments, max_size=3, unique_by=lambda segment: segment.label),
    st.lists(findings, max_size=3),
    st.lists(measurements, max_size=3),
    st.dictionaries(texts, texts, max_size=3),
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return ct_series(tmp_path_factory.mktemp("images"), slices=2, rows=8, columns=8)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(result=results, name=texts, parameters=st.dictionaries(texts, texts, max_size=2))
def test_no_result_makes_a_signed_document(
    images: list[Path], tmp_path: Path, result: Result, name: str, parameters: dict[str, str]
) -> None:
    model = replace(MODEL, name=name or "m", parameters=parameters, qualification="PRODUCT")

    def answer(_: Grid) -> Any:
        return result

    try:
        document = write_result(images, answer, tmp_path, model=model).read(ObjectKind.SR)
    except InvalidResult:
        return
    assert (document.VerificationFlag, document.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert "VerifyingObserverSequence" not in document
    assert "AuthorObserverSequence" not in document
