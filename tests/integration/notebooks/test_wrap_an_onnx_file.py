"""notebooks/wrap-an-onnx-file.ipynb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

pytestmark = [pytest.mark.xdist_group("wrap-an-onnx-file"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def wrapped(execute: Callable[..., Any]) -> Any:
    return execute("wrap-an-onnx-file")


def test_the_file_is_inspected(wrapped: Any) -> None:
    assert "takes image: tensor(float) [1, 1, 32, 32, 32]" in wrapped.printed


def test_both_series_are_done_and_shown(wrapped: Any) -> None:
    assert "2 outcomes" in wrapped.printed
    assert wrapped.printed.count("Lesion: volume") == 2
    pictures = [Image.open(path) for path in wrapped.folder.glob("tried-*/*.png")]
    assert [len(picture.convert("RGB").getcolors(1 << 20) or ()) > 100 for picture in pictures] == [True, True]


@pytest.mark.parametrize(
    "sentence",
    [
        "model.toml:18: the network has no channel 1",
        "model.toml:6: model.onnx has SHA-256",
        "model.toml:20: segment.type: no coded concept is named 'leasion' - did you mean 'lesion'",
    ],
)
def test_each_mistake_is_named_with_its_line(wrapped: Any, sentence: str) -> None:
    assert unwrapped(sentence) in unwrapped(wrapped.printed)


def unwrapped(text: str) -> str:
    """Return the text without white space: a long path may be broken anywhere."""
    return "".join(text.split())
