"""Models on a real Triton, which takes and gives tensors as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.domain.errors import ManifestError, RemoteUnavailable
from tests.integration.model_servers.conftest import SEGMENT, Desk
from tests.integration.model_servers.mlserver import Server
from tests.integration.model_servers.triton import triton, why_not

pytestmark = [
    pytest.mark.xdist_group("triton"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

Image = npt.NDArray[np.int16]
OpenDesk = Callable[..., Desk]
SCORES = f'{SEGMENT}\noutput = {{ name = "scores" }}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with triton(tmp_path_factory.mktemp("triton")) as running:
        yield running


@pytest.mark.parametrize("how", ["", "input = { patch = [4, 7, 30], overlap = 0.5 }"])
def test_a_network_on_triton_marks_what_it_would_mark_here(
    desk: OpenDesk, server: Server, image: Image, how: str
) -> None:
    subject = desk(server.url, remote='version = "1"', rest=f"{SCORES}\n{how}")
    assert (subject.predict(image).result.segments[0].mask == (image >= 300)).all()


def test_the_tensor_goes_as_bytes(desk: OpenDesk, server: Server, image: Image) -> None:
    subject = desk(server.url, rest=SCORES)
    assert subject.predict(image).notes["Model server"] == "triton 2.51.0"
    (posted,) = [text for about, text in subject.recorded if about == "the-job"]
    size = int(posted.split(" sends ")[1].split()[0])
    assert 0 < size - image.size * 4 < 400


def test_an_output_that_is_no_map_is_named(desk: OpenDesk, server: Server, image: Image) -> None:
    with pytest.raises(ManifestError, match=r"the model returns \(1\) for \(1, 1, any, any, any\)"):
        desk(server.url).predict(image)


@pytest.mark.usefixtures("impatient")
def test_a_version_that_is_not_loaded_is_not_ready(desk: OpenDesk, server: Server, image: Image) -> None:
    with pytest.raises(RemoteUnavailable, match=r"model bone at .* is not ready: Model version not ready"):
        desk(server.url, remote='version = "7"', rest=SCORES).predict(image)
