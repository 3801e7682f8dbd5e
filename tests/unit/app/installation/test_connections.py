"""What the settings say of an archive reaches whoever connects it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.app.installation.connections import is_read_in_place, open_archive, watched_archives
from orchestrator.archive import FolderArchive
from orchestrator.config import ArchiveSettings, DestinationSettings, ReceiverSettings, Settings
from orchestrator.domain.errors import UserError
from orchestrator.hooks import HostPlugins

URL = "dimse://PACS@10.0.0.5:104"


class Plugins:
    """Plugins that connect nothing and note what they were told."""

    told: Mapping[str, Any]

    def connect_archive(self, _url: str, told: Mapping[str, Any]) -> str:
        self.told = told
        return "connected"


def told(item: ArchiveSettings | DestinationSettings, **sections: Any) -> Mapping[str, Any]:
    plugins = Plugins()
    open_archive(item, cast(HostPlugins, plugins), Settings(**sections))
    return plugins.told


@pytest.mark.parametrize(
    ("enabled", "written", "used"), [(True, None, "AI"), (True, "AI2", "AI2"), (False, None, ""), (False, "AI2", "AI2")]
)
def test_a_c_move_goes_to_the_receiver_unless_told_otherwise(enabled: bool, written: str | None, used: str) -> None:
    item = ArchiveSettings(name="pacs", url=URL, retrieve="move", move_to=written)
    assert told(item, receiver=ReceiverSettings(enabled=enabled, ae_title="AI"))["move_to"] == used


def test_nothing_is_retrieved_from_a_destination() -> None:
    said = told(DestinationSettings(name="pacs", url=URL))
    assert (said["retrieve"], said["move_to"]) == ("get", "")


def test_an_archive_may_keep_answers_where_the_host_keeps_its_data() -> None:
    settings = Settings()
    assert told(DestinationSettings(name="pacs", url=URL))["folder"] == settings.data.folder


def test_a_scheme_that_nobody_knows_is_told_with_those_that_there_are() -> None:
    class Nobody(Plugins):
        def connect_archive(self, _url: str, told: Mapping[str, Any]) -> Any:
            return None

    item = ArchiveSettings(name="pacs", url="ftp://host/x")
    with pytest.raises(UserError, match=r"dimse\+tls://AET@host:port, "):
        open_archive(item, cast(HostPlugins, Nobody()), Settings())


def test_each_watched_archive_is_watched_by_the_engine_or_by_the_watcher(tmp_path: Path) -> None:
    """By what a plugin makes of the address, not by its scheme."""
    folder, other = FolderArchive("here", tmp_path), SimpleNamespace(name="there")
    archives = {"file:///here": folder, "file:///there": other, "vna://there": other, "file:///unwatched": folder}
    plugins: Any = SimpleNamespace(connect_archive=lambda url, told: archives[url])
    items = tuple(ArchiveSettings(name=f"a{n}", url=url, watch="un" not in url) for n, url in enumerate(archives))
    watched = list(watched_archives(Settings(archives=items), plugins))
    assert [(item.name, is_read_in_place(archive)) for item, archive in watched] == [
        ("a0", True),
        ("a1", False),
        ("a2", False),
    ]
