"""Who may come in to a real Orthanc, and what is said where it is down."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from orchestrator.archive import connect
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from tests.integration.archive.orthanc.conftest import Both, by_api, by_dicomweb
from tests.parts.archive.dcmtk import free_port
from tests.parts.archive.orthanc import Orthanc, orthanc


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("guarded"), user="host:secret") as running:
        yield running


@pytest.mark.parametrize("way", [by_api, by_dicomweb])
def test_user_and_password_let_in(guarded: Orthanc, way: Callable[..., Both]) -> None:
    assert way(guarded, username="host", password="secret").echo() > 0


@pytest.mark.parametrize("way", [by_api, by_dicomweb])
@pytest.mark.parametrize("told", [{}, {"username": "host", "password": "wrong"}])
def test_without_them_a_person_is_told_what_to_set(
    guarded: Orthanc, way: Callable[..., Both], told: dict[str, str]
) -> None:
    with pytest.raises(ArchiveRefused, match="401: check username and password_file"):
        way(guarded, **told).echo()


@pytest.mark.parametrize("scheme", ["orthanc+http", "dicomweb+http"])
def test_an_archive_that_is_down_is_unavailable(scheme: str) -> None:
    with pytest.raises(ArchiveUnavailable, match=r"'vna' .* cannot be reached: .*refused"):
        connect(f"{scheme}://127.0.0.1:{free_port()}", name="vna").echo()
