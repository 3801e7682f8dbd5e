"""What the command line prints for people."""

from __future__ import annotations

import io
import json
import logging

import pytest
from rich.console import Console

from orchestrator.cli import run, show
from orchestrator.domain.review import ReviewState
from orchestrator.web import wording
from tests.data.records import verdict

PATH = "/home/someone/models/" + "a-long-way/" * 12 + "model.toml"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        *((117.6, "[hnsf'U]", "118 HU"), (1502.4, "ml", "1,502 ml"), (3.21, "mm2", "3.21 mm²"), (0.5, "1", "0.5")),
        ("many", "ml", "many ml"),
    ],
)
def test_amounts_are_written_as_people_read_them(value: object, unit: str, text: str) -> None:
    assert show.amount(value, unit) == text


def test_a_measurement_is_told_in_hounsfield_units_and_kept_in_ucum(capsys: pytest.CaptureFixture[str]) -> None:
    measured = {"name": "Mean", "value": 118.2, "unit": "[hnsf'U]", "segment": "Lesion"}
    assert show.finding_text([], [measured]) == "Lesion: mean 118 HU"
    show.as_json(measured)
    assert json.loads(capsys.readouterr().out)["unit"] == "[hnsf'U]"


@pytest.mark.parametrize(("count", "shown"), [(0, ""), (1, ", 1 image"), (3, ", 3 images")])
def test_a_finding_is_told_as_on_the_pages_with_its_score_and_how_many_images_show_it(count: int, shown: str) -> None:
    found: dict[str, object] = {"name": "Burned-in text", "value": "present", "score": 0.934}
    if count:
        found["images"] = [{"sop_uid": f"2.25.{number}", "frame": None, "score": 0.9} for number in range(count)]
    assert show.finding_text([found], []) == f"Burned-in text: present, score 0.93{shown}" == wording.finding(found)


def test_a_path_in_a_warning_is_not_broken_while_progress_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    narrow = Console(file=screen, width=60, force_terminal=True, highlight=False)
    monkeypatch.setattr(run, "errors", narrow)
    monkeypatch.setattr(show, "errors", narrow)
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    show.tell_warnings()
    log = logging.Logger("orchestrator.somewhere")  # it has no handler, as in a command of a person
    run.show_progress(lambda _: log.warning("plugin x is refused: %s:26: the network has no channel [3]", PATH))
    assert f"plugin x is refused: {PATH}:26: the network has no channel [3]" in screen.getvalue()


def test_a_correction_is_told_with_its_values_and_the_agreement_of_outlines() -> None:
    change = {"what": "Brain volume", "before": 1502.4, "after": 1480.0, "unit": "ml"}
    review = verdict(ReviewState.CORRECTED, changes=(change,), agreement={"Brain": 0.968, "Lesion": 0.0})
    assert show.corrected_text(review) == "Brain volume: 1,502 -> 1,480 ml; Dice: Brain 0.97, Lesion 0.00"


def test_the_most_urgent_finding_is_named_first() -> None:
    nodule = {"name": "Nodule", "value": "present", "urgency": "non-urgent"}
    mass = {"name": "Mass", "value": "absent", "urgency": "immediate"}
    bleeding = {"name": "Haemorrhage", "value": "present", "urgency": "immediate"}
    assert show.finding_text([nodule, mass, bleeding], []) == "; ".join(map(wording.finding, [bleeding, nodule, mass]))
