"""A correction becomes a new, verified report with the person's values; what the AI wrote stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset

from orchestrator.dicom import content
from orchestrator.dicom.corrected import correct
from orchestrator.dicom.storage import encoded
from orchestrator.dicom.summary import Summary, summary_of
from orchestrator.domain.concepts import LEFT, codes
from orchestrator.domain.correction import correctables
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.records import ObjectKind, ReviewRecord
from orchestrator.domain.result import Finding, Result
from orchestrator.domain.review import ReviewState
from tests.parts.written import MODEL, Written, everything, placeless, write_result

VERDICT = ReviewRecord(
    job_key="ab" * 32,
    state=ReviewState.CORRECTED,
    by="Jane Doe",
    organization="St. Mary's",
    at=datetime(2025, 5, 3, 8, 30, tzinfo=UTC),
)
PRODUCT = replace(MODEL, qualification="PRODUCT")


@pytest.fixture(scope="module")
def product(ct: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_result(ct, everything, tmp_path_factory.mktemp("p"), model=PRODUCT)


@pytest.fixture(scope="module")
def stated(ct: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_result(ct, placeless, tmp_path_factory.mktemp("s"), model=PRODUCT)


def change(at: str, before: object, after: object, what: str = "it", unit: str = "") -> Mapping[str, object]:
    return {"at": at, "what": what, "before": before, "after": after, "unit": unit}


def corrected(written: Written, *changes: Mapping[str, object]) -> tuple[Dataset, Summary]:
    document = correct(written.path(ObjectKind.SR), replace(VERDICT, changes=changes))
    return document, summary_of([document])


def test_a_number_is_the_person_s_and_its_unit_stays(product: Written) -> None:
    document, said = corrected(product, change("measurements/0/value", 9.08544, 9.5, "Liver volume", "ml"))
    assert (said.measurements[0]["value"], said.measurements[0]["unit"]) == (9.5, "ml")
    assert "Corrected by a physician: Liver volume: 9.08544 -> 9.5 ml" in texts(document)


def test_what_was_not_corrected_stays(product: Written) -> None:
    before = summary_of([product.read(ObjectKind.SR)])
    _, after = corrected(product, change("measurements/3/value", 12.5, 13))
    assert after.findings == before.findings
    assert after.measurements[:3] == before.measurements[:3]


def test_a_finding_that_is_absent_loses_its_place_and_the_score(product: Written) -> None:
    document, said = corrected(product, change("findings/1/value", "present", "absent", "Nodule"))
    nodule = said.findings[1]
    assert (nodule["name"], nodule["value"], nodule.get("score")) == ("Nodule", "absent", None)
    identifiers = [each.TextValue for group in content.groups(document) for each in content.children(group)[:1]]
    assert "Nodule 1" in identifiers
    assert "Nodule 2" not in identifiers
    of_nodule = next(group for group in content.groups(document) if content.children(group)[0].TextValue == "Nodule 1")
    assert not {"SCOORD", "NUM"} & {each.ValueType for each in content.children(of_nodule)}
    assert of_nodule.ContentTemplateSequence[0].TemplateIdentifier == "1501"


@pytest.mark.parametrize(("after", "read"), [("immediate", "immediate"), ("none", None)])
def test_urgency_can_be_raised_and_taken_away(product: Written, after: str, read: str | None) -> None:
    _, said = corrected(product, change("findings/0/urgency", "urgent", after))
    assert said.findings[0].get("urgency") == read


def test_urgency_can_be_given_where_there_was_none(product: Written) -> None:
    _, said = corrected(product, change("findings/1/urgency", "none", "urgent"))
    assert [finding.get("urgency") for finding in said.findings] == ["urgent", "urgent", None]


def test_a_side_is_the_person_s(ct: list[Path], tmp_path: Path) -> None:
    on_the_left = Finding(codes["pneumonia"], site=codes["lung"], laterality=LEFT)
    written = write_result(ct, lambda _: Result(findings=[on_the_left]), tmp_path, model=PRODUCT)
    _, said = corrected(written, change("findings/0/laterality", "Left", "Right"))
    assert said.findings[0]["laterality"] == "Right"


def test_a_statement_says_in_no_sentence_what_was_corrected(stated: Written) -> None:
    before = texts(stated.read(ObjectKind.SR))
    document, said = corrected(stated, change("findings/0/value", "present", "absent", "Pneumonia"))
    assert "Pneumonia: present." in before
    assert "Pneumonia: present." not in texts(document)
    assert "AI result, corrected by a physician." in texts(document)
    assert (said.findings[0]["value"], said.findings[0].get("score")) == ("absent", None)


def test_everything_that_the_page_lets_a_person_correct_can_be_written(product: Written, stated: Written) -> None:
    for written in (product, stated):
        said = summary_of([written.read(ObjectKind.SR)])
        for each in correctables(said.findings, said.measurements):
            for after in each.choices or (1.5,):
                corrected(written, change(each.at, each.said, after, each.what, each.unit))


def test_it_is_signed_names_its_predecessor_and_says_who_observed(product: Written) -> None:
    document, _ = corrected(product, change("measurements/0/value", 9.08544, 9.5))
    predecessor = document.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert (document.VerificationFlag, document.PreliminaryFlag) == ("VERIFIED", "FINAL")
    assert predecessor.ReferencedSOPInstanceUID == product.read(ObjectKind.SR).SOPInstanceUID
    assert "Doe^Jane" in {str(item.get("PersonName", "")) for item in document.ContentSequence}
    assert document.SeriesDescription == "AI result, corrected by a physician: lesion-finder"


def test_the_same_correction_gives_the_same_bytes_and_another_one_other_uids(product: Written) -> None:
    first, again, other = (
        corrected(product, change("measurements/0/value", 9.08544, value))[0] for value in (9.5, 9.5, 9.6)
    )
    assert encoded(first) == encoded(again)
    assert first.SOPInstanceUID != other.SOPInstanceUID


@pytest.mark.parametrize(
    "verdict",
    [
        replace(VERDICT, changes=(change("measurements/0/value", 1, 2),), by=""),
        replace(VERDICT, changes=(change("measurements/0/value", 1, 2),), organization=" "),
        replace(VERDICT, changes=(change("measurements/0/value", 1, 2),), state=ReviewState.ACCEPTED),
        replace(VERDICT, changes=()),
        replace(VERDICT, changes=({"what": "Volume", "before": 1, "after": 2, "unit": "ml"},)),
        replace(VERDICT, changes=(change("findings/9/value", "present", "absent"),)),
    ],
    ids=["nobody", "no organization", "accepted", "nothing", "from an archive", "no such finding"],
)
def test_only_a_named_person_who_corrects_something_here_does(product: Written, verdict: ReviewRecord) -> None:
    with pytest.raises(ForbiddenTransition):
        correct(product.path(ObjectKind.SR), verdict)


def test_research_content_is_never_verified(ct: list[Path], tmp_path: Path) -> None:
    research = write_result(ct, everything, tmp_path)
    with pytest.raises(ForbiddenTransition, match="RESEARCH"):
        corrected(research, change("measurements/0/value", 1, 2))


def texts(document: Dataset) -> list[str]:
    return [str(item.TextValue) for item in document.ContentSequence if item.ValueType == "TEXT"]
