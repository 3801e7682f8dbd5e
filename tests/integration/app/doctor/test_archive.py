"""doctor --archive NAME tests real archives and says what to change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    CTImageStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import evt
from pynetdicom.sop_class import Verification

from orchestrator.app.doctor.archive import examine_archive
from orchestrator.app.doctor.check import Check, Health
from orchestrator.app.doctor.objects import check_pace
from orchestrator.config import Settings, load_settings
from orchestrator.domain.errors import UserError
from tests.parts.archive.dcmtk import dcmqrscp, free_port, storescp
from tests.parts.archive.dicom_peer import peer_that
from tests.parts.archive.orthanc import Orthanc, orthanc


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


def settings(folder: Path, text: str) -> Settings:
    (folder / "orchestrator.toml").write_text(text)
    return load_settings(folder / "orchestrator.toml", {})


def destination(url: str, *more: str) -> str:
    return "\n".join(["[[destination]]", 'name = "pacs"', f'url = "{url}"', *more])


def checks(folder: Path, text: str, *, store: bool = True) -> dict[str, Check]:
    return {check.name: check for check in examine_archive("pacs", settings(folder, text), store=store)}


@pytest.mark.parametrize("way", ["url", "dicomweb_url"])
def test_a_sound_archive_takes_and_shows_all_that_is_sent(archive: Orthanc, tmp_path: Path, way: str) -> None:
    found = checks(tmp_path, destination(getattr(archive, way)))
    tried = ["store images", "store segmentation (binary)", "store report (Comprehensive 3D SR)", "query", "fetch"]
    assert not [found[name] for name in tried if found[name].health is Health.BAD]  # slow is no fault of it here
    assert (found["objects"].health, "refuses" in found["objects"].found) == (Health.GOOD, False)
    assert "10 images" in found["fetch"].found
    assert found["patients"].health is Health.GOOD
    pattern = "s ahead of|s behind" if way == "url" else "does not send its time"  # its plugin sends no Date
    assert re.search(pattern, found["clock"].found)


def test_trying_again_adds_nothing(archive: Orthanc, tmp_path: Path) -> None:
    checks(tmp_path, destination(archive.url))
    held = archive.instances()
    checks(tmp_path, destination(archive.url))
    assert archive.instances() == held


def test_nothing_is_written_unless_it_is_asked_for(tmp_path: Path) -> None:
    with dcmqrscp(tmp_path / "archive") as peer:
        found = checks(tmp_path, destination(peer.url), store=False)
        assert not list(peer.folder.glob("*.dcm"))
    assert found["storing"].found == "not tested"


def test_a_dimse_archive_is_tried_with_the_same_words(tmp_path: Path) -> None:
    with dcmqrscp(tmp_path / "archive") as peer:
        found = checks(tmp_path, destination(peer.url))
    stored = [check for name, check in found.items() if name.startswith("store ")]
    assert [check.found.split(",")[1] for check in stored] == [" read back"] * len(stored)
    assert found["fetch"].found.startswith("10 images")
    assert found["TLS"].advice == "change the url to dimse+tls:// or +https:// if the archive supports it"


def test_what_an_archive_refuses_is_named_with_the_setting_that_helps(tmp_path: Path) -> None:
    with storescp(tmp_path / "archive") as peer:  # it knows no Label Map, and answers no query
        text = destination(peer.url, 'seg = "labelmap"', "ask = false", 'confirm = "none"')
        found = checks(tmp_path, text)
    assert found["store segmentation (labelmap)"].health is Health.BAD
    assert found["objects"].advice == 'write seg = "binary"'
    assert "not read back" in found["store images"].found
    assert found["query"].found.startswith("off (ask = false)")


@pytest.mark.parametrize(
    ("takes", "advice"),
    [
        ([Comprehensive3DSRStorage, SecondaryCaptureImageStorage], 'write objects = ["sr", "key-image"]'),
        ([SegmentationStorage, ComprehensiveSRStorage], 'write objects = ["seg", "sr"], sr = "comprehensive"'),
        ([SecondaryCaptureImageStorage, KeyObjectSelectionDocumentStorage], 'write objects = ["key-image"]'),
        ([SegmentationStorage], "configure the archive to accept a report (Comprehensive SR) or a Secondary Capture"),
    ],
    ids=["no segmentation", "an older report", "key images", "neither report nor key image"],
)
def test_what_to_send_is_chosen_by_what_an_archive_takes(tmp_path: Path, takes: list[str], advice: str) -> None:
    with peer_that(
        {evt.EVT_C_STORE: lambda _: 0x0000, evt.EVT_C_ECHO: lambda _: 0x0000}, Verification, CTImageStorage, *takes
    ) as url:
        found = checks(tmp_path, destination(url, "ask = false", 'confirm = "none"'))["objects"]
    assert found.health is Health.BAD
    assert found.advice.startswith(advice)


def test_a_refused_parametric_map_is_a_warning_for_few_models_give_one(tmp_path: Path) -> None:
    takes = (SegmentationStorage, Comprehensive3DSRStorage, SecondaryCaptureImageStorage)
    with peer_that(
        {evt.EVT_C_STORE: lambda _: 0x0000, evt.EVT_C_ECHO: lambda _: 0x0000}, Verification, CTImageStorage, *takes
    ) as url:
        found = checks(tmp_path, destination(url, "ask = false", 'confirm = "none"'))
    assert found["store parametric map"].health is Health.WARNING
    assert (found["objects"].health, found["objects"].advice) == (Health.WARNING, 'write objects = ["seg", "sr"]')


def test_what_an_archive_need_not_get_it_may_refuse(tmp_path: Path) -> None:
    with storescp(tmp_path / "archive") as peer:  # it knows no Label Map
        text = destination(peer.url, "ask = false", 'confirm = "none"')
        found = checks(tmp_path, text)
    assert "store segmentation (labelmap)" not in found
    assert found["objects"].health is Health.GOOD
    assert found["objects"].found.endswith("; refuses segmentation (labelmap)")


def test_an_archive_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    (check,) = checks(tmp_path, destination(f"dimse://PACS@127.0.0.1:{free_port()}")).values()
    assert (check.name, check.health) == ("echo", Health.BAD)
    assert "does not answer" in check.found


def test_an_unknown_name_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no archive or destination 'vna'; there are: pacs"):
        list(examine_archive("vna", settings(tmp_path, destination("dimse://PACS@127.0.0.1:104")), store=False))


@pytest.mark.parametrize(
    ("count", "seconds", "health"), [(10, 0.002, "good"), (10, 0.044, "warning"), (10, 0.5, "good"), (1, 0.044, "good")]
)
def test_forty_milliseconds_for_each_image_are_a_stall(count: int, seconds: float, health: str) -> None:
    check = check_pace("fetch", count, "images", seconds)
    assert check.health == health
    assert ("TCP_NODELAY=1" in check.advice) is (health == "warning")
