"""One network exported in every way that the worker can run gives one SEG, in the right place of the patient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.domain.records import ObjectKind
from orchestrator.testing import Phantom, dice, onto
from tests.data.series import ct_series
from tests.integration.worker.runtimes.conftest import Host
from tests.integration.worker.runtimes.exports import EXPORTS
from tests.parts.dicom.written import write_result

pytestmark = pytest.mark.torch

SAME = 0.999
RIGHT = 0.99
SERIES: dict[str, dict[str, Any]] = {
    "oblique, anisotropic": {
        "orientation": "oblique",
        "spacing": (3.5, 0.7, 1.1),
        "slices": 30,
        "rows": 57,
        "columns": 48,
    },
    "feet first, sent backwards": {"orientation": "feet-first", "order": "reversed"},
    "coronal": {"orientation": "coronal", "spacing": (2.0, 1.0, 1.4), "slices": 34},
}


class Exports:
    """All exports, loaded once, and the SEG that the host writes of each series."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.images = {
            name: ct_series(folder / f"series-{at}", **given) for at, (name, given) in enumerate(SERIES.items())
        }
        self._folder = folder
        self.found = cache(self._found)

    def _found(self, runtime: str, series: str) -> npt.NDArray[np.bool_]:
        """Return the lesion of the SEG on the grid of the phantom."""
        paths = self.images[series]
        _, prediction = self.host.predict(runtime, paths)
        written = write_result(paths, lambda _: prediction.result, self._folder / f"{runtime}-{paths[0].parent.name}")
        volume = highdicom.seg.segread(written.path(ObjectKind.SEG)).get_volume(combine_segments=True)
        phantom = Phantom(modality="CT", **SERIES[series])
        return onto(volume.array, volume.affine, phantom.affine, phantom.shape).astype(bool)


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exports]:
    folder = tmp_path_factory.mktemp("exports")
    host = Host([make(folder / "models" / name) for name, make in EXPORTS.items()], folder / "work")
    with closing(host.workers):
        assert host.errors == [""] * len(EXPORTS)
        yield Exports(host, folder)


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("runtime", EXPORTS)
def test_one_network_exported_in_any_way_gives_the_same_seg(exports: Exports, runtime: str, series: str) -> None:
    found = exports.found(runtime, series)
    assert dice(found, exports.found("onnx", series)) >= SAME
    assert dice(found, Phantom(modality="CT", **SERIES[series]).mask) >= RIGHT
