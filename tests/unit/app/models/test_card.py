"""The model card of ``models check``: the host's part is written anew, what people wrote stays."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.app.models.contract import Clause, ContractReport, Mark, check_card, write_card
from orchestrator.app.models.contract.card import BEGIN, END
from orchestrator.app.models.contract.outputs import ModelOutput, result_outputs
from orchestrator.domain.concepts import codes
from orchestrator.domain.errors import UserError
from orchestrator.domain.model import Accepts, Empty, Geometry, Intended, ModelDescription, Resources
from orchestrator.domain.result import Measurement, Result
from orchestrator.web.rendering import markdown

MODEL = ModelDescription(
    name="lung-net",
    version="2.1",
    digest="ab" * 32,
    description="Marks nodules",
    manufacturer="Lung | Net <GmbH>",
    licence="MIT",
    runtime="onnx",
    intended=Intended(modality=("CT",), body_part=("CHEST",), sex=("F", "M"), minimum_age_years=18, contrast=False),
    accepts=Accepts(geometry=Geometry.STACK, minimum_slices=5),
    resources=Resources(device="any", memory_mb=512, timeout_seconds=90),
    empty=Empty.NEGATIVE,
)
CLAUSES = (
    Clause("runs", "synthetic CT", Mark.PASSED, "on 24 x 64 x 48 axial", 1.0),
    Clause("one slice", "synthetic CT", Mark.FAILED, "it raised | twice\nand ended", 2.4),
    Clause("multi-frame", "synthetic CT", Mark.NOT_APPLICABLE, "none here"),
)
GIVES = (
    ModelOutput("segment", "Nodule", (codes["nodule"], codes["lung"])),
    ModelOutput("measurement", "Nodule", (codes["mean"],), "HU"),
)


def report(model: ModelDescription = MODEL, outputs: tuple[ModelOutput, ...] = GIVES) -> ContractReport:
    return ContractReport(model, CLAUSES, outputs, ("cuda:0 (NVIDIA H100)",), datetime(2026, 11, 24, 12, tzinfo=UTC))


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return tmp_path / "MODEL_CARD.md"


@pytest.mark.parametrize(
    "line",
    [
        "| Model | lung-net 2.1 |",
        f"| Digest of code and weights | `{'ab' * 32}` |",
        r"| Manufacturer | Lung \| Net &lt;GmbH> |",
        "| Intended input | modality: CT; body part: CHEST; sex: F, M; age in years: from 18; "
        "contrast medium: excluded |",
        "| Accepts | a stack of slices, at least 5 slice(s), grey values; gantry tilt: refused; "
        "unit: HU for CT, else any |",
        "| Needs | any, 512 MB, 90 s at most |",
        "| Empty result | valid (negative) |",
        "| segment | Nodule | (27925004, SCT, Nodule); (39607008, SCT, Lung) |  |",
        "| measurement | Nodule | (373098007, SCT, Mean) | HU |",
        r"| one slice | synthetic CT | **FAILED** | it raised \| twice and ended |",
    ],
)
def test_what_the_host_knows_and_measured_is_in_it(card: Path, line: str) -> None:
    write_card(card, report())
    assert line in card.read_text().splitlines()


def test_it_says_when_and_on_what_it_was_measured(card: Path) -> None:
    write_card(card, report())
    assert "on 2026-11-24: 1 passed, 1 failed, 1 not applicable, in 3 s." in card.read_text()
    assert "ran on cuda:0 (NVIDIA H100); machine: " in card.read_text()


def test_what_only_people_know_is_left_to_them(card: Path) -> None:
    write_card(card, report())
    sections = card.read_text().split("\n## ")
    left = [section.partition("\n")[0] for section in sections if "**To be written by the manufacturer:**" in section]
    assert left == ["Intended use", "Training data", "Validation", "Limits", "Contact"]


def test_a_model_that_gave_nothing_is_said_to(card: Path) -> None:
    write_card(card, report(outputs=()))
    assert "The model declares no output and found nothing in the series of the check." in card.read_text()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_people_wrote_stays_to_the_byte(card: Path, ending: str) -> None:
    before, after = f"# Ours ä{ending}{ending}", f"{ending}## Limits{ending}Many.  {ending}"
    card.write_bytes(f"{before}{BEGIN}{ending}old{ending}{END}{ending}{after}".encode())
    write_card(card, report())
    written = card.read_bytes().decode()
    assert written.startswith(before + BEGIN)
    assert written.endswith(END + "\n" + after)
    assert "old" not in written


def test_the_same_report_again_changes_nothing(card: Path) -> None:
    write_card(card, report())
    first = card.read_bytes()
    write_card(card, report())
    assert card.read_bytes() == first


@pytest.mark.parametrize(
    "text", ["# Ours\n", f"{BEGIN}\n", f"{END}\n\n{BEGIN}\n", f"{BEGIN}\n\n{BEGIN}\n\n{END}\n", "\udcff"]
)
def test_a_file_without_a_place_for_it_is_not_touched(card: Path, text: str) -> None:
    card.write_bytes(content := text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=r"MODEL_CARD\.md"):
        check_card(card)
    assert card.read_bytes() == content


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        check_card(tmp_path / "nowhere" / "card.md")


def test_the_marks_are_not_shown_on_the_review_page(card: Path) -> None:
    write_card(card, report())
    shown = markdown(card.read_text())
    assert "<td>lung-net 2.1</td>" in shown
    assert "models check: begin" not in shown


def test_an_approved_product_is_not_called_no_device(card: Path) -> None:
    write_card(card, report(ModelDescription(name="lung-net", version="2", digest="", qualification="PRODUCT")))
    assert "Not a medical device" not in card.read_text()
    assert "| Qualification | PRODUCT |" in card.read_text()


def test_units_are_given_as_people_read_them() -> None:
    (given,) = result_outputs(Result(measurements=[Measurement(codes["mean"], 3.0, "[hnsf'U]")]))
    assert given == ModelOutput("measurement", "", (codes["mean"],), "HU")
