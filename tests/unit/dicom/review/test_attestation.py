"""A verdict becomes a new object that points to the old one; nothing stored is edited."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from orchestrator.dicom import attest, reject
from orchestrator.dicom.objects.storage import encode_file
from orchestrator.dicom.review.attestation import person_name
from orchestrator.dicom.sr.text_report import UNVERIFIED_STATEMENT
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.records import ObjectKind, ReviewRecord
from orchestrator.domain.review import RejectReason, ReviewState
from tests.parts.dicom.written import MODEL, Written, everything, write_result

ACCEPTED = ReviewRecord(
    job_key="ab" * 32,
    state=ReviewState.ACCEPTED,
    by="Jane van Doe",
    organization="St. Mary's",
    at=datetime(2025, 5, 3, 8, 30, tzinfo=UTC),
)
REJECTED = replace(ACCEPTED, state=ReviewState.REJECTED, comment="a rib, no nodule")


@pytest.fixture(scope="module")
def product(ct: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_result(ct, everything, tmp_path_factory.mktemp("p"), model=replace(MODEL, qualification="PRODUCT"))


@pytest.fixture(scope="module")
def research(ct: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_result(ct, everything, tmp_path_factory.mktemp("r"))


def test_an_attestation_is_signed_final_and_names_its_predecessor(product: Written) -> None:
    attested = attest(product.path(ObjectKind.SR), ACCEPTED)
    observer, predecessor = attested.VerifyingObserverSequence[0], attested.PredecessorDocumentsSequence[0]
    assert (attested.VerificationFlag, attested.PreliminaryFlag) == ("VERIFIED", "FINAL")
    assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == ("Doe^Jane van", "St. Mary's")
    assert uid_of(predecessor) == product.read(ObjectKind.SR).SOPInstanceUID


def test_an_attestation_says_the_same_under_a_title_of_its_own(product: Written) -> None:
    ours = product.read(ObjectKind.SR)
    attested = attest(product.path(ObjectKind.SR), ACCEPTED)
    pairs = list(zip(attested.ContentSequence, ours.ContentSequence, strict=True))
    (statement,) = [(new.TextValue, old.TextValue) for new, old in pairs if new != old]
    assert statement == ("AI result, accepted by a physician.", UNVERIFIED_STATEMENT)
    assert attested.SOPInstanceUID != ours.SOPInstanceUID
    assert attested.SeriesInstanceUID != ours.SeriesInstanceUID
    assert attested.SeriesDescription == "AI result, accepted by a physician: lesion-finder"


def test_the_stored_report_stays_as_it_is(product: Written) -> None:
    path = product.path(ObjectKind.SR)
    before = path.read_bytes()
    attest(path, ACCEPTED)
    assert path.read_bytes() == before


def test_the_same_verdict_gives_the_same_bytes(product: Written) -> None:
    first, second = (encode_file(attest(product.path(ObjectKind.SR), ACCEPTED)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "verdict",
    [replace(ACCEPTED, by=" "), replace(ACCEPTED, organization=""), replace(ACCEPTED, state=ReviewState.CORRECTED)],
    ids=["nobody", "no organization", "not accepted"],
)
def test_only_a_named_person_who_accepts_attests(product: Written, verdict: ReviewRecord) -> None:
    with pytest.raises(ForbiddenTransition):
        attest(product.path(ObjectKind.SR), verdict)


def test_research_content_is_never_attested(research: Written) -> None:
    with pytest.raises(ForbiddenTransition, match="RESEARCH"):
        attest(research.path(ObjectKind.SR), ACCEPTED)


@pytest.mark.parametrize("reason", RejectReason)
def test_a_rejection_has_the_title_that_its_reason_asks_for(research: Written, reason: RejectReason) -> None:
    note = reject(research.paths, reason, REJECTED)
    modifiers = [item for item in note.ContentSequence if code_of(item) == "113011"]
    assert note.ConceptNameCodeSequence[0].CodeValue == ("113037" if reason.concerns_safety else "113001")
    assert len(modifiers) == (0 if reason.concerns_safety else 1)


def test_a_rejection_lists_all_objects_without_a_concept_name(research: Written) -> None:
    note = reject(research.paths, RejectReason.WRONG, REJECTED)
    references = [item for item in note.ContentSequence if "ReferencedSOPSequence" in item]
    uids = {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in references}
    assert uids == {record.sop_uid for record in research.objects}
    assert not any("ConceptNameCodeSequence" in item for item in references)


def test_a_rejection_says_who_and_why(research: Written) -> None:
    note = reject(research.paths, RejectReason.WRONG_SIDE, REJECTED)
    said = {item.get("TextValue") or str(item.get("PersonName", "")) for item in note.ContentSequence}
    assert {"Doe^Jane van", "wrong side: a rib, no nodule"} <= said


def test_a_rejection_belongs_to_the_same_patient(research: Written) -> None:
    note, ours = reject(research.paths, RejectReason.WRONG, REJECTED), research.read(ObjectKind.SR)
    for keyword in ("PatientID", "PatientName", "IssuerOfPatientID", "StudyInstanceUID", "StudyDescription"):
        assert note[keyword].value == ours[keyword].value


def test_an_accepted_result_is_not_rejected(research: Written) -> None:
    with pytest.raises(ForbiddenTransition):
        reject(research.paths, RejectReason.WRONG, ACCEPTED)


def test_verdicts_survive_being_stored(product: Written, tmp_path: Path) -> None:
    for written in (attest(product.path(ObjectKind.SR), ACCEPTED), reject(product.paths, RejectReason.WRONG, REJECTED)):
        path = tmp_path / "verdict.dcm"
        path.write_bytes(encode_file(written))
        assert dcmread(path).SOPInstanceUID == written.SOPInstanceUID


@pytest.mark.parametrize(
    ("text", "name"),
    [("Jane Doe", "Doe^Jane"), ("Doe^Jane", "Doe^Jane"), ("Doe", "Doe^"), ("A B Doe", "Doe^A B"), ("a=b c", "c^a b")],
)
def test_a_name_as_people_write_it_becomes_a_person_name(text: str, name: str) -> None:
    assert person_name(text) == name


def uid_of(study: Dataset) -> str:
    return str(study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def code_of(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue) if "ConceptNameCodeSequence" in item else ""
