"""What the settings say of a destination is what the flow gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.app.installation.connections import BUILT_IN
from orchestrator.app.installation.host import destinations_of
from orchestrator.config import DestinationSettings, Settings
from orchestrator.dicom import Syntax, WriteOptions
from orchestrator.domain.errors import SettingsError
from orchestrator.domain.hours import Hours
from orchestrator.hooks import HostPlugins
from orchestrator.pipeline.delivery.destination import Destination


def destination(folder: Path, **values: Any) -> Destination:
    item = DestinationSettings(name="pacs", **{"url": "dimse://PACS@127.0.0.1:104", **values})
    settings = Settings(destinations=(item,), data={"folder": folder})
    return destinations_of(settings, HostPlugins.load([], BUILT_IN))["pacs"]


def test_an_archive_of_which_nothing_is_said_gets_the_usual(tmp_path: Path) -> None:
    pacs = destination(tmp_path)
    assert (pacs.options, pacs.hours, pacs.per_minute, pacs.confirm) == (WriteOptions(), None, None, "readback")


def test_an_archive_gets_what_is_chosen_for_it(tmp_path: Path) -> None:
    chosen = {"seg": "labelmap", "sr": "comprehensive", "transfer_syntax": "implicit"}
    pacs = destination(tmp_path, **chosen, window="20:00-06:00 Europe/Berlin", per_minute=30, confirm="commitment")
    assert pacs.options == WriteOptions(label_map=True, comprehensive_3d=False, syntax=Syntax.IMPLICIT)
    assert (pacs.hours, pacs.per_minute) == (Hours.parse("20:00-06:00 Europe/Berlin"), 30)
    assert pacs.confirm == "commitment"


@pytest.mark.parametrize("scheme", ["file:///data/archive", "orthanc+http://127.0.0.1:8042"])
def test_an_archive_that_cannot_commit_itself_is_refused_at_the_start(tmp_path: Path, scheme: str) -> None:
    with pytest.raises(SettingsError, match=r"'pacs': an archive at .* cannot commit itself; write confirm"):
        destination(tmp_path, url=scheme, confirm="commitment")
