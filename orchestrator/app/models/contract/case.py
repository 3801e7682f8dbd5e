"""One series with the model's answer, and means to store its voxels in another way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from orchestrator.app.models.contract.agreement import LEAST_DICE, check_agreement
from orchestrator.app.models.contract.bench import Bench, SeriesAnswer
from orchestrator.app.models.contract.clause import Inapplicable
from orchestrator.app.models.contract.specimen import Specimen
from orchestrator.domain.model import Geometry
from orchestrator.testing import Stack


@dataclass(frozen=True, slots=True)
class Case:
    """What a clause works on. ``folder``: an empty folder of the clause, removed afterwards."""

    bench: Bench
    specimen: Specimen
    answer: SeriesAnswer
    folder: Path

    @property
    def geometry(self) -> Geometry:
        """The geometry that the model accepts."""
        return self.bench.model.accepts.geometry

    @property
    def stack(self) -> Stack:
        """The voxels of the series with the header of its images.

        Raises Inapplicable for a multi-frame object, which has another kind of header.
        """
        part = self.answer.parts[0]
        first = part.grid.frames[0]
        if first.frame is not None and part.grid.affine is not None:
            raise Inapplicable("the series is one multi-frame object; this clause needs a single-frame series")
        return Stack.of(part.volume, first.path)

    @property
    def placed(self) -> Stack:
        """The stack, if it has a grid in the patient; raises Inapplicable if it has none."""
        stack = self.stack
        if stack.affine is None:
            raise Inapplicable("the images have no common grid in the patient")
        return stack

    def show(self, paths: Sequence[Path]) -> SeriesAnswer:
        """Run the model on other files; raises as ``Bench.show`` does."""
        return self.bench.show(paths, self.folder / "answer")

    def agrees(self, change: Callable[[Stack], Stack], *, least: float = LEAST_DICE, descending: bool = False) -> str:
        """Return how well the model's answers agree when the same voxels are stored in another way.

        Raises Broken and Inapplicable.
        """
        copy = change(self.placed)
        answer = self.show(copy.write(self.folder / "copy", descending=descending))
        stack = self.placed
        return check_agreement(
            self.answer,
            answer,
            lambda mask: change(replace(stack, voxels=np.asarray(mask))).voxels,
            copy.affine,
            motion=copy.motion,
            least=least,
        )
