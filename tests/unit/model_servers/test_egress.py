"""Which URLs a row of [[egress]] lets through."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import EgressRefused
from orchestrator.model_servers.egress import Egress, Exit


def _egress(url: str) -> Egress:
    return Egress([Exit(name="triton", url=url, purpose="a test")], lambda *_: None)


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("http://triton:8000", "http://triton:8000/v2"),
        ("http://triton:8000", "http://TRITON:8000/v2/models/a"),
        ("http://triton", "http://triton:80/v2"),
        ("https://triton", "https://triton:443"),
        ("https://gate/models/bone", "https://gate/models/bone/v2"),
        ("https://gate/models/bone", "https://gate/models/bone"),
    ],
)
def test_the_place_and_all_below_it_is_allowed(allowed: str, url: str) -> None:
    assert _egress(allowed).permit(url, "inference", "voxels").name == "triton"


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("http://triton:8000", "http://triton:8001/v2"),
        ("http://triton:8000", "https://triton:8000/v2"),
        ("http://triton:8000", "http://triton.elsewhere:8000/v2"),
        ("http://triton:8000", "http://triton:8000@elsewhere/v2"),
        ("http://triton:8000", "http://elsewhere/triton:8000"),
        ("https://gate/models/bone", "https://gate/models/bones/v2"),
        ("https://gate/models/bone", "https://gate/models/bone/../lung/v2"),
        ("https://gate/models/bone", "https://gate/"),
    ],
)
def test_any_other_place_is_refused(allowed: str, url: str) -> None:
    with pytest.raises(EgressRefused, match="the settings do not allow requests to"):
        _egress(allowed).permit(url, "inference", "voxels")
