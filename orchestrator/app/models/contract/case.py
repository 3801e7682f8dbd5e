"""One series, the model's answer to it, and the same voxels to be stored another way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from orchestrator.app.models.contract.agreement import LEAST_DICE, check_agreement
from orchestrator.app.models.contract.bench import Answer, Bench
from orchestrator.app.models.contract.clause import Inapplicable
from orchestrator.app.models.contract.specimen import Specimen
from orchestrator.domain.model import Geometry
from orchestrator.testing import Stack


@dataclass(frozen=True, slots=True)
class Case:
    """What a clause works with. ``folder``: its own, empty, removed behind it."""

    bench: Bench
    specimen: Specimen
    answer: Answer
    folder: Path

    @property
    def geometry(self) -> Geometry:
        """What the model takes."""
        return self.bench.model.accepts.geometry

    @property
    def stack(self) -> Stack:
        """The voxels of the series with the header of its images.

        Raises Inapplicable for a multi-frame object, whose header is of another kind.
        """
        part = self.answer.parts[0]
        first = part.grid.frames[0]
        if first.frame is not None and part.grid.affine is not None:
            raise Inapplicable("the series is one multi-frame object; it is checked on single-frame series only")
        return Stack.of(part.volume, first.path)

    @property
    def placed(self) -> Stack:
        """The stack, where it is a grid in the patient; raises Inapplicable where it is none."""
        stack = self.stack
        if stack.affine is None:
            raise Inapplicable("the images have no common grid in the patient")
        return stack

    def show(self, paths: Sequence[Path]) -> Answer:
        """Return what the model says about other files; raises as ``Bench.show`` does."""
        return self.bench.show(paths, self.folder / "answer")

    def agrees(self, change: Callable[[Stack], Stack], *, least: float = LEAST_DICE, descending: bool = False) -> str:
        """Return how well the model agrees with itself on the same voxels stored another way.

        Raises Broken and Inapplicable.
        """
        changed = change(self.placed)
        answer = self.show(changed.write(self.folder / "copy", descending=descending))
        stack = self.placed
        return check_agreement(
            self.answer,
            answer,
            lambda mask: change(replace(stack, voxels=np.asarray(mask))).voxels,
            changed.affine,
            motion=changed.motion,
            least=least,
        )
