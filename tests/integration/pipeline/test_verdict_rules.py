"""One set of rules for verdicts: each rule is tried on the page, at the command line and by a document."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset

from orchestrator import cli
from orchestrator.app.operations import review as operations
from orchestrator.dicom import read_instance
from orchestrator.domain.job import JobState
from orchestrator.domain.reading import ReadingPolicy, SecondReader
from orchestrator.domain.records import ObjectKind, ReviewRecord
from orchestrator.domain.review import ReviewState
from orchestrator.ledger import Ledger
from orchestrator.pipeline.review.document_verdicts import TrustedSources, Verdicts
from orchestrator.pipeline.review.verdict import reviewed_result
from orchestrator.web import create_app
from tests.data.reading_room import Drawings
from tests.data.records import NOON, series_record
from tests.data.series import ct_series
from tests.parts.dicom.reading import edited, rejected, saved, verified
from tests.parts.dicom.written import Written, box, everything, job, write_result

KEY = "ab" * 32
VOLUME = "measurements/0/value"
A, R, C = ReviewState.ACCEPTED, ReviewState.REJECTED, ReviewState.CORRECTED


@dataclass
class Case:
    """A result that awaits a verdict, and what observers heard of it."""

    folder: Path
    ledger: Ledger
    written: Written
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    second_reader: SecondReader = SecondReader.NONE
    heard: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def reviews(self) -> tuple[ReviewRecord, ...]:
        return self.ledger.reviews.of_job(KEY)

    def review(self, state: ReviewState, by: str = "Ada Okafor", **changes: Any) -> None:
        """Put an earlier verdict into the ledger."""
        record = ReviewRecord(job_key=KEY, state=state, by=by, organization="St. Anna", at=NOON, **changes)
        seen = self.reviews[-1].state
        self.ledger.reviews.add(record, seen=seen, second_reader=self.second_reader)

    def hear(self, _job: object, before: ReviewRecord, after: ReviewRecord) -> None:
        """Observe a verdict as a plugin does, with the number of reviews that the ledger has by then."""
        self.heard.append((str(before.state), str(after.state), len(self.reviews)))


Give = Callable[[Case, Mapping[str, Any]], str]
"""Gives a verdict through one door; returns what the door says where it refuses, empty where it takes it."""


def by_page(case: Case, verdict: Mapping[str, Any]) -> str:
    values = verdict.get("values", {})
    form = {
        "verdict": verdict["state"],
        "seen": verdict.get("seen", case.reviews[-1].state if case.reviews else "pending"),
        "by": verdict.get("by", "Ben Yilmaz"),
        "organization": verdict.get("organization", "St. Anna"),
        "reason": verdict.get("reason", "wrong"),
        "comment": verdict.get("comment", ""),
        "at": list(values),
        "after": list(values.values()),
    }
    app = create_app(
        case.ledger,
        pictures=Drawings(),
        models={},
        reading=ReadingPolicy(case.second_reader),
        review_changed=case.hear,
    )

    async def post() -> httpx.Response:
        wire = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=wire, base_url="http://localhost:8080", trust_env=False) as client:
            headers = {"sec-fetch-site": "same-origin"}
            return await client.post(f"/results/{KEY}/verdict", data=form, headers=headers)

    answer = asyncio.run(post())
    assert answer.status_code in {303, 404, 409, 422}
    return "" if answer.status_code == 303 else html.unescape(answer.text).lower()


def by_command_line(case: Case, verdict: Mapping[str, Any]) -> str:
    settings = case.folder / "settings.toml"
    review = f'[review]\nsecond_reader = "{case.second_reader}"\n'
    settings.write_text(f'[data]\ndatabase = "sqlite:///{case.folder / "ledger.db"}"\n{review}')
    options = ["--by", verdict.get("by", "Ben Yilmaz"), "--organization", verdict.get("organization", "St. Anna")]
    if "seen" in verdict:
        options += ["--seen", verdict["seen"]]
    if reason := verdict.get("reason", "wrong" if verdict["state"] is R else ""):
        options += ["--reason", reason]
    command = "accept" if verdict["state"] is A else "reject"
    arguments = ["results", command, KEY, *options, "--comment", verdict.get("comment", "")]
    case.monkeypatch.setattr("sys.argv", ["orchestrator", *arguments, "--settings", str(settings)])
    case.monkeypatch.setattr(operations, "_notify_plugins", lambda _settings, *change: case.hear(*change))
    case.capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    message = case.capsys.readouterr().err.lower()
    assert ended.value.code in {0, 2}, message
    return message if ended.value.code else ""


def by_document(case: Case, verdict: Mapping[str, Any]) -> str:
    verdicts = Verdicts(
        case.ledger,
        TrustedSources(frozenset({"pacs"})),
        destinations={},
        review_changed=case.hear,
        clock=lambda: NOON,
        second_reader=case.second_reader,
    )
    document = read_instance(saved(_document(case, verdict), case.folder / "documents"))
    count = len(case.reviews)
    verdicts.take(document, source="pacs", calling="")
    if len(case.reviews) > count:
        return ""
    return case.ledger.events.newest(limit=1)[0].text.lower()


def _document(case: Case, verdict: Mapping[str, Any]) -> Dataset:
    sr, by = case.written.read(ObjectKind.SR), verdict.get("by", "Yilmaz^Ben" if "by" not in verdict else "")
    name = "^".join(reversed(by.split())) if "^" not in by else by
    if verdict["state"] is R:
        return rejected([sr], by=name)
    return verified(sr, by=name, change=2.0 if verdict["state"] is C else 1.0)


DOORS: dict[str, Give] = {"page": by_page, "command line": by_command_line, "document": by_document}


@dataclass(frozen=True)
class Rule:
    """A verdict that is refused: what was before, what is said, and why it is refused.

    doors: those through which such a verdict can come; elsewhere the form of the verdict excludes it.
    """

    verdict: Mapping[str, Any]
    why: str
    before: Callable[[Case], object] = lambda _: None
    doors: tuple[str, ...] = tuple(DOORS)


def no_result(case: Case) -> None:
    case.ledger.jobs.add(job(key="cd" * 32, study_uid=case.ledger.jobs.get(KEY).study_uid))


def moved(*states: JobState) -> Callable[[Case], None]:
    def move(case: Case) -> None:
        for state in states:
            case.ledger.jobs.move(KEY, state)

    return move


def second_reading(case: Case) -> None:
    case.second_reader = SecondReader.ALL
    case.review(A)


def disagreement(case: Case) -> None:
    second_reading(case)
    case.review(R, by="Eva Lind", reason="wrong")


PAGE, TYPED, BY_NAME = ("page",), ("page", "command line"), tuple(DOORS)
RULES = {
    "without a name": Rule({"state": A, "by": " "}, "name", doors=TYPED),
    "a verified report that names nobody": Rule({"state": A, "by": ""}, "does not say by whom", doors=("document",)),
    "without an organisation": Rule({"state": A, "organization": " "}, "organi", doors=TYPED),
    "a rejection without a reason": Rule({"state": R, "reason": ""}, "reason", doors=TYPED),
    "on a superseded result": Rule({"state": A}, "superseded", moved(JobState.SUPERSEDED)),
    "on a cancelled result": Rule({"state": A}, "cancelled", moved(JobState.FAILED)),
    "on a retracted result": Rule({"state": R}, "retracted", lambda case: case.review(ReviewState.RETRACTED)),
    "where another reviewer was faster": Rule(
        {"state": R, "seen": "pending"}, "ada okafor already accepted this result", lambda case: case.review(A), TYPED
    ),
    "that stands already": Rule({"state": A}, "ada okafor already accepted this result", lambda case: case.review(A)),
    "a correction of nothing": Rule({"state": C}, "the correction changes no value", doors=PAGE),
    "a correction to the model's own value": Rule(
        {"state": C, "values": {VOLUME: "12.0"}}, "the correction changes no value", doors=PAGE
    ),
    "a correction to an impossible value": Rule({"state": C, "values": {VOLUME: "-3"}}, "below zero", doors=PAGE),
    "an acceptance beside other values": Rule({"state": A, "values": {VOLUME: "9"}}, "values were entered", doors=PAGE),
    "a rejection beside other values": Rule({"state": R, "values": {VOLUME: "9"}}, "values were entered", doors=PAGE),
    "to settle a disagreement without a comment": Rule({"state": A}, "explain in the comment", disagreement),
    "a rejection to settle without a comment": Rule({"state": R}, "explain in the comment", disagreement),
    "a second reading by the first reader": Rule({"state": A, "by": "Ada Okafor"}, "ada okafor", second_reading),
    "a second reading by nobody": Rule({"state": R, "by": ""}, "names nobody", second_reading, ("document",)),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("written")
    return write_result(ct_series(folder / "in"), everything, folder / "out")


@pytest.fixture
def case(
    tmp_path: Path, written: Written, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Case]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        study = written.objects[0].study_uid
        volume = {"name": "Volume", "segment": "Liver", "value": 12.0, "unit": "ml"}
        ledger.series.put(series_record(series_uid="1.2.3", study_uid=study), ())
        ledger.jobs.add(job(key=KEY, study_uid=study, measurements=(volume,)))
        ledger.jobs.move(KEY, JobState.RUNNING)
        ledger.jobs.move(KEY, JobState.DELIVERING)
        ledger.objects.put(KEY, written.objects)
        ledger.reviews.open(KEY, NOON)
        yield Case(tmp_path, ledger, written, monkeypatch, capsys)


@pytest.mark.parametrize(("rule", "door"), [(rule, door) for rule in RULES for door in RULES[rule].doors])
def test_a_verdict_is_refused(case: Case, rule: str, door: str) -> None:
    """The ledger stays as it is, no observer hears of it, and the person is told why."""
    given = RULES[rule]
    given.before(case)
    reviews = case.reviews
    refusal = DOORS[door](case, given.verdict)
    assert given.why in refusal
    assert case.reviews == reviews
    assert case.heard == []


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("state", [A, R])
def test_a_verdict_is_taken_and_observers_hear_of_it_when_it_is_in_the_ledger(
    case: Case, door: str, state: ReviewState
) -> None:
    assert DOORS[door](case, {"state": state}) == ""
    assert (case.reviews[-1].state, case.reviews[-1].by) == (state, "Ben Yilmaz")
    assert case.heard == [("pending", str(state), 2)]


@pytest.mark.parametrize("door", DOORS)
def test_a_first_verdict_waits_for_a_second_reader(case: Case, door: str) -> None:
    case.second_reader = SecondReader.ALL
    assert DOORS[door](case, {"state": A}) == ""
    assert [review.state for review in case.reviews] == ["pending", "accepted", "second-reader"]
    assert case.heard == [("pending", "second-reader", 3)]


@pytest.mark.parametrize("door", DOORS)
def test_a_second_reader_may_disagree(case: Case, door: str) -> None:
    second_reading(case)
    assert DOORS[door](case, {"state": R}) == ""
    assert case.reviews[-1].state is ReviewState.DISAGREED


@pytest.mark.parametrize("door", TYPED)
def test_a_third_verdict_settles_a_disagreement_with_a_comment(case: Case, door: str) -> None:
    disagreement(case)
    assert DOORS[door](case, {"state": A, "comment": "the old CT shows it"}) == ""
    assert (case.reviews[-1].state, case.reviews[-1].comment) == (A, "the old CT shows it")


@pytest.mark.parametrize("door", ["page", "document"])
def test_a_correction_keeps_what_was_changed(case: Case, door: str) -> None:
    assert DOORS[door](case, {"state": C, "values": {VOLUME: "9"}}) == ""
    assert (case.reviews[-1].state, len(case.reviews[-1].changes)) == (C, 1)


def test_a_person_confirms_a_correction_that_names_nobody(case: Case) -> None:
    mask = box(case.written.grids[0])
    mask[:8] = False
    files = [frame.path for frame in case.written.grids[0].frames]
    document = saved(edited(files, {"Liver": mask}, case.written.read(ObjectKind.SEG)), case.folder / "documents")
    trusted = TrustedSources(frozenset({"pacs"}))
    Verdicts(case.ledger, trusted, destinations={}, review_changed=case.hear, clock=lambda: NOON).take(
        read_instance(document), source="pacs", calling=""
    )
    assert by_page(case, {"state": C}) == ""
    assert [(review.state, review.by) for review in case.reviews[1:]] == [(C, ""), (C, "Ben Yilmaz")]


STATES: dict[str, Callable[[Case], object]] = {
    "pending": lambda _: None,
    **{state.value: partial(Case.review, state=state, reason="wrong") for state in (A, R, C, ReviewState.RETRACTED)},
    "second-reader": second_reading,
    "disagreed": disagreement,
    "superseded": moved(JobState.SUPERSEDED),
    "cancelled": moved(JobState.FAILED),
}


@pytest.mark.parametrize("verdict", [A, R, C])
@pytest.mark.parametrize("state", STATES)
def test_the_page_offers_the_verdicts_that_are_taken(case: Case, state: str, verdict: ReviewState) -> None:
    STATES[state](case)
    offered = reviewed_result(case.ledger, KEY).verdicts
    values = {VOLUME: "9"} if verdict is C else {}
    refusal = by_page(case, {"state": verdict, "values": values, "comment": "seen on the old CT"})
    assert (refusal == "") is (verdict in offered)


@pytest.mark.parametrize("door", TYPED)
def test_a_job_without_a_result_takes_no_verdict(case: Case, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    no_result(case)
    monkeypatch.setattr("tests.integration.pipeline.test_verdict_rules.KEY", "cd" * 32)
    assert "has no result" in DOORS[door](case, {"state": A})


@pytest.mark.parametrize("door", DOORS)
def test_a_fault_of_an_observer_does_not_undo_the_verdict(case: Case, door: str) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Doe^Jane")

    case.hear = fail  # type: ignore[method-assign]
    assert DOORS[door](case, {"state": A}) == ""
    assert case.reviews[-1].state is A


def test_a_verdict_given_while_the_command_line_asks_is_not_overruled(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: case.review(A))
    assert "ada okafor already accepted this result" in by_command_line(case, {"state": R})
