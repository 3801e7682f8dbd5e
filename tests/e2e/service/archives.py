"""A service over archives, and what became of a series in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pydicom import Dataset, dcmread

from orchestrator.domain.job import ENDED, JobState
from orchestrator.domain.records import ARRIVED, DeliveryRecord, JobRecord, SeriesRecord
from orchestrator.testing import Phantom
from tests.data.models import rule, write_model
from tests.parts.service import Service, run_command, wait_for

RULES = (
    rule("bones", "bone-volume", Modality="CT")
    + rule("pictures", "bright", Modality="CR")
    + '[[rule]]\nname = "hold phantoms"\nhold = true\n[rule.when]\nPatientID = "QA-*"\n'
)


def configured(folder: Path, *more: str) -> str:
    """Return settings with our rules and one model more, and these tables."""
    write_model(folder / "plugins", "bright", attributes="accepts = Accepts(geometry=Geometry.IMAGE)")
    (folder / "rules.toml").write_text(RULES)
    models, rules = folder / "plugins", folder / "rules.toml"
    return "\n".join([f'[models]\nplugins = ["{models}"]\n[rules]\nfile = "{rules}"\n', *more])


def uid_of(seed: str, kind: str = "CT") -> str:
    return Phantom(seed=seed).uid("series", kind)


def job_of(host: Service, seed: str, kind: str = "CT") -> JobRecord | None:
    """Return the newest job of the series that this seed made."""
    return next((job for job in host.jobs() if job.series_uid == uid_of(seed, kind)), None)


def ends(host: Service, seed: str, state: JobState, kind: str = "CT") -> JobRecord:
    """Return the series' job once it is in this state; another end fails the test."""

    def there() -> JobRecord | None:
        job = job_of(host, seed, kind)
        assert job is None or job.state is state or job.state not in ENDED, f"{job.state}: {job.reason}\n{host.log}"
        return job if job is not None and job.state is state else None

    return wait_for(there, f"the job of {seed} is {state}")


def delivered(host: Service, job: JobRecord, name: str, what: Callable[[DeliveryRecord], object]) -> DeliveryRecord:
    """Return the job's delivery to a destination once ``what`` is true of it."""

    def look() -> DeliveryRecord | None:
        with closing(host.ledger()) as ledger:
            return next(
                (row for row in ledger.deliveries.of_job(job.key) if row.destination == name and what(row)), None
            )

    return wait_for(look, f"the delivery to {name} is so")


def arrived(row: DeliveryRecord) -> bool:
    return row.state in ARRIVED


def series(host: Service, uid: str) -> SeriesRecord | None:
    with closing(host.ledger()) as ledger:
        return ledger.series.find(uid)


def events(host: Service, kind: str) -> list[str]:
    with closing(host.ledger()) as ledger:
        return [event.text for event in ledger.events.after(limit=10_000) if event.kind == kind]


def jobs_command(host: Service, verb: str, job: JobRecord) -> None:
    ended = run_command("jobs", verb, job.key[:12], "--by", "Ada", "--settings", host.settings)
    assert ended.returncode == 0, ended.stderr


def written_below(folder: Path, modality: str = "") -> list[Dataset]:
    """Return the SEGs and SRs that lie in a folder."""
    found = [dcmread(path, force=True) for path in folder.rglob("*.dcm")]
    wanted = {modality} if modality else {"SEG", "SR"}
    return [item for item in found if item.get("Modality") in wanted]
