"""Models on a real MLServer: the same answers as at home, and a name for everything that goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.domain.errors import (
    InvalidResult,
    ManifestError,
    RemoteFailed,
    RemoteTimeout,
    RemoteUnavailable,
    WorkerCrashed,
    WorkerTimeout,
)
from orchestrator.domain.result import Presence
from orchestrator.model_servers.client import MOST_RETRIES
from orchestrator.worker import Workers, discover
from tests.data.models import write_model
from tests.integration.model_servers.conftest import SEGMENT, Desk, show
from tests.integration.model_servers.mlserver import MODELS, Server, mlserver

pytestmark = [pytest.mark.xdist_group("mlserver"), pytest.mark.timeout(600)]

Image = npt.NDArray[np.int16]
OpenDesk = Callable[..., Desk]
MODELS_FOLDER = Path(__file__).parents[3] / "models"


@pytest.mark.parametrize("model", ["bone", "bone-planes"])
@pytest.mark.parametrize(
    "how",
    [
        "",
        "input = { orientation = 'RAS' }",
        "input = { patch = PATCH, overlap = 0.5 }",
        "input = { patch = PATCH, window = { min = 0, max = 1000 }, scale = [0, 1000] }",
    ],
)
def test_a_network_on_a_server_marks_what_it_would_mark_here(
    desk: OpenDesk, server: Server, image: Image, model: str, how: str
) -> None:
    patch = "[7, 30]" if model == "bone-planes" else "[4, 7, 30]"
    subject = desk(server.url, model, rest=f"{SEGMENT}\n{how.replace('PATCH', patch)}")
    assert (subject.predict(image).result.segments[0].mask == (image >= 300)).all()


def test_it_gives_the_same_mask_as_the_model_that_ships(
    desk: OpenDesk, server: Server, image: Image, tmp_path: Path
) -> None:
    shipped = discover([MODELS_FOLDER / "bone-volume-onnx"], entry_points=False)
    with closing(Workers(shipped, sandbox="required", weights=tmp_path)) as workers:
        here = show(workers, "bone-volume-onnx", image, tmp_path / "here")
    there = desk(server.url).predict(image)
    assert (here.result.segments[0].mask == there.result.segments[0].mask).all()


def test_a_score_becomes_a_finding(desk: OpenDesk, server: Server, image: Image) -> None:
    subject = desk(server.url, "score", rest='finding = [{ channel = 1, name = "fracture" }]')
    (finding,) = subject.predict(image).result.findings
    assert (finding.presence, finding.score) == (Presence.PRESENT, 1.0)


def test_the_result_names_the_server(desk: OpenDesk, server: Server, image: Image) -> None:
    assert desk(server.url).predict(image).notes["Model server"] == "mlserver 1.7.1"


def test_every_call_is_on_record_for_its_job_with_a_digest_and_no_number(
    desk: OpenDesk, server: Server, image: Image
) -> None:
    subject = desk(server.url)
    subject.predict(image)
    (posted,) = [text for about, text in subject.recorded if about == "the-job"]
    assert f"POST {server.url}/v2/models/bone/infer to server (inference: a test) sends" in posted
    assert "sha256 " in posted
    assert str(image.max()) not in posted.replace(server.url, "").replace(posted.split("sha256 ")[1], "")


def test_a_warm_model_is_looked_at_once(desk: OpenDesk, server: Server, image: Image) -> None:
    subject = desk(server.url)
    subject.predict(image)
    subject.predict(image)
    assert [text.split()[0] for _, text in subject.recorded] == ["GET", "GET", "GET", "POST", "POST"]


@pytest.mark.parametrize(
    ("model", "remote", "sentence"),
    [
        ("two-channels", "", "model.toml:1: the network takes 2 channels, but the input has 1"),
        ("integers", "", "model.toml:7: the model takes INT64, this host sends FP32"),
        ("four-axes", "", "the model takes (1, any, any), expected (1, C, row, column) or (1, C, and three)"),
        ("silent", "", "model.toml:7: the server reports no inputs and outputs"),
        ("score", "", "the network returns scores; name them with [[finding]]"),
        ("bone", 'input = "image"', "model.toml:10: the model has no input 'image'; it has ['voxels']"),
    ],
)
def test_a_model_unlike_the_manifest_is_refused_before_it_runs(
    desk: OpenDesk, server: Server, image: Image, model: str, remote: str, sentence: str
) -> None:
    subject = desk(server.url, model, remote=remote)
    with pytest.raises(ManifestError) as told:
        subject.predict(image)
    assert sentence in str(told.value)
    assert not [text for _, text in subject.recorded if text.startswith("POST")]


def test_an_output_that_the_model_lacks_is_named(desk: OpenDesk, server: Server, image: Image) -> None:
    with pytest.raises(ManifestError, match=r"the model has no output 'mask'; it has \['scores'\]"):
        desk(server.url, rest=f'{SEGMENT}\noutput = {{ name = "mask" }}').predict(image)


def test_a_channel_that_the_model_lacks_is_named(desk: OpenDesk, server: Server, image: Image) -> None:
    lung = 'segment = [{ label = "Bone", type = "bone", channel = 3 }]'
    with pytest.raises(ManifestError, match="the network has no channel 3, only channel 0"):
        desk(server.url, rest=lung).predict(image)


@pytest.mark.parametrize(
    ("model", "fault", "sentence"),
    [
        ("raises", RemoteFailed, "model raises at .* answered with status 500$"),
        ("smaller", InvalidResult, r"returned the shape \(1, 1, 6, 18, 19\), expected \(1, 1, 6, 18, 20\)"),
        (
            "not-a-number",
            InvalidResult,
            r"^output 'scores' of the server holds \d+ values of \d+ that are not finite numbers",
        ),
        ("nowhere", RemoteFailed, "model nowhere at .* answered with status 404: Model nowhere not found"),
    ],
)
def test_what_a_server_does_wrong_has_its_name(
    desk: OpenDesk, server: Server, image: Image, model: str, fault: type[Exception], sentence: str
) -> None:
    with pytest.raises(fault, match=sentence):
        desk(server.url, model).predict(image)


def test_a_server_that_takes_too_long_is_not_waited_for(desk: OpenDesk, server: Server, image: Image) -> None:
    subject = desk(server.url, "slow", remote="timeout_seconds = 0.5")
    with pytest.raises(RemoteTimeout, match=r"server did not answer within 0\.5 s"):
        subject.predict(image)
    assert [text.split()[0] for _, text in subject.recorded].count("POST") == 1


def test_the_time_of_a_volume_bounds_the_server_too(desk: OpenDesk, server: Server, image: Image) -> None:
    subject = desk(server.url, "slow", rest=f"{SEGMENT}\nresources = {{ timeout_seconds = 1.5 }}")
    with pytest.raises((RemoteTimeout, WorkerTimeout), match="did not answer within"):
        subject.predict(image)


def test_after_a_failure_the_next_volume_is_answered(desk: OpenDesk, server: Server, image: Image) -> None:
    subject = desk(server.url, "fails-once")
    with pytest.raises(RemoteFailed):
        subject.predict(image)
    assert (subject.predict(image).result.segments[0].mask == (image >= 300)).all()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_killed_while_it_works_fails_the_attempt_with_its_reason(
    desk: OpenDesk, image: Image, tmp_path: Path
) -> None:
    with mlserver(tmp_path / "killed", {"bone": MODELS["dies"]}) as dying:
        subject = desk(dying.url)
        with pytest.raises(RemoteUnavailable, match=f"server at {dying.url} is unreachable: "):
            subject.predict(image)
    assert [text.split()[0] for _, text in subject.recorded].count("POST") == 1 + MOST_RETRIES


def test_a_server_that_comes_back_goes_on_with_the_same_model(desk: OpenDesk, image: Image, tmp_path: Path) -> None:
    with mlserver(tmp_path / "first", {"bone": MODELS["bone"]}) as first:
        subject = desk(first.url)
        subject.predict(image)
    port = int(first.url.rpartition(":")[2])
    with mlserver(tmp_path / "second", {"bone": MODELS["bone"]}, port) as second:
        assert second.url == first.url
        assert (subject.predict(image).result.segments[0].mask == (image >= 300)).all()


def test_a_model_that_is_none_of_a_server_gets_nothing_from_one(tmp_path: Path, image: Image) -> None:
    body = """
    import json, socket, stat
    ends = [int(name) for name in os.listdir('/proc/self/fd')]
    (end,) = [end for end in ends if os.path.exists(f'/proc/self/fd/{end}') and stat.S_ISSOCK(os.fstat(end).st_mode)]
    os.write(end, json.dumps({'need': 'infer', 'shape': [1, 1, 2, 3]}).encode() + b'\\n')
    time.sleep(30)
    """
    write_model(tmp_path / "plugins", "curious", body)
    sources = discover([], [tmp_path / "plugins"], entry_points=False)
    told = "curious sent an invalid"
    with (
        closing(Workers(sources, sandbox="required", weights=tmp_path)) as workers,
        pytest.raises(WorkerCrashed, match=told),
    ):
        show(workers, "curious", image, tmp_path / "job" / "part-0")
