"""One set of rules for retry and cancel: each rule is tried on the page and at the command line."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from orchestrator import cli
from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState
from orchestrator.engine import Client
from orchestrator.ledger import Ledger
from orchestrator.pipeline.jobs.control import JobControl, can_cancel, can_retry
from orchestrator.web import create_app
from tests.data.reading_room import Drawings
from tests.data.records import add_jobs, job_record, key_of

pytestmark = pytest.mark.xdist_group("run")

KEY = key_of("job")
S = JobState


@dataclass
class Case:
    """A ledger with one job."""

    folder: Path
    ledger: Ledger
    client: Client
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    @property
    def state(self) -> JobState:
        return self.ledger.jobs.get(KEY).state


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Case]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with closing(Ledger.open(url)) as ledger, closing(Client(url)) as client:
        yield Case(tmp_path, ledger, client, monkeypatch, capsys)


def by_page(case: Case, order: str, by: str = "Ada") -> str:
    """Return why the page refuses, empty where it does what is asked."""
    control = JobControl(case.ledger, case.client)
    app = create_app(
        case.ledger,
        pictures=Drawings(),
        models={},
        retry=lambda key, by: control.retry(key, by=by),
        cancel=lambda key, by: control.cancel(key, by=by),
    )

    async def post() -> httpx.Response:
        wire = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=wire, base_url="http://localhost:8080", trust_env=False) as client:
            headers = {"sec-fetch-site": "same-origin"}
            return await client.post(f"/jobs/{KEY}/{order}", data={"by": by}, headers=headers)

    answer = asyncio.run(post())
    assert answer.status_code in {303, 404, 409, 422}
    return "" if answer.status_code == 303 else html.unescape(answer.text)


def by_command_line(case: Case, order: str, by: str = "Ada") -> str:
    """Return why the command refuses, empty where it does what is asked."""
    settings = case.folder / "settings.toml"
    settings.write_text(f'[data]\ndatabase = "sqlite:///{case.folder / "ledger.db"}"\n')
    arguments = ["jobs", order, KEY, "--by", by, "--settings", str(settings)]
    case.monkeypatch.setattr("sys.argv", ["orchestrator", *arguments])
    case.capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    message = case.capsys.readouterr().err
    assert ended.value.code in {0, 2}, message
    return message if ended.value.code else ""


DOORS: dict[str, Callable[..., str]] = {"page": by_page, "command line": by_command_line}


def add(case: Case, *states: JobState, delivered: bool = False) -> None:
    add_jobs(case.ledger, job_record())
    for state in states:
        case.ledger.jobs.move(KEY, state)
    if delivered:
        case.ledger.deliveries.add(KEY, "pacs")
        case.ledger.deliveries.move(KEY, "pacs", DeliveryState.CONFIRMED, confirmed_by="readback")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("order", "states", "delivered", "why"),
    [
        ("retry", (S.RUNNING, S.DONE), False, "is done; what can be tried again is failed"),
        ("retry", (S.SUPERSEDED,), False, "is superseded; what can be tried again"),
        ("retry", (), False, "is waiting; what can be tried again"),
        ("cancel", (S.RUNNING, S.UNSUPPORTED), False, "is unsupported and does nothing that could be cancelled"),
        ("cancel", (S.RUNNING, S.DELIVERING), True, "result was delivered; reject it"),
    ],
)
def test_what_the_state_forbids_is_refused(
    case: Case, door: str, order: str, states: tuple[JobState, ...], delivered: bool, why: str
) -> None:
    add(case, *states, delivered=delivered)
    before = case.state
    assert why in DOORS[door](case, order)
    assert case.state is before


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("order", ["retry", "cancel"])
def test_nothing_is_done_without_a_name(case: Case, door: str, order: str) -> None:
    add(case, S.HELD)
    assert "name" in DOORS[door](case, order, " ")
    assert case.state is S.HELD


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("order", ["retry", "cancel"])
def test_an_unknown_job_is_named(case: Case, door: str, order: str) -> None:
    assert "in the ledger" in DOORS[door](case, order)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("order", ["retry", "cancel"])
@pytest.mark.parametrize(
    "states",
    [(), (S.HELD,), (S.PARKED,), (S.FAILED,), (S.RUNNING,), (S.RUNNING, S.UNSUPPORTED), (S.RUNNING, S.DONE)],
    ids=lambda states: str(states[-1]) if states else "waiting",
)
def test_what_the_page_offers_is_what_is_done(case: Case, door: str, order: str, states: tuple[JobState, ...]) -> None:
    add(case, *states)
    offers = can_retry if order == "retry" else can_cancel
    offered = offers(case.ledger, case.ledger.jobs.get(KEY))
    assert (DOORS[door](case, order) == "") is offered
