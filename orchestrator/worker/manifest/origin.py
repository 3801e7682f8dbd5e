"""Origin of a model: a MONAI bundle, a model server, or weights in a wheel."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import Field, PositiveFloat, model_validator

from orchestrator.worker.manifest.values import (
    Function,
    Inside,
    ManifestTable,
    ServedName,
    ServerUrl,
    Sha256,
)


class BundleAt(ManifestTable):
    """A MONAI bundle, and the digest of the very files that a person of this site trusts: a bundle is code.

    path: its folder, seen from this file; weights: the file in it, by default models/model.pt or models/model.ts.
    """

    path: Annotated[str, Field(min_length=1)] = Field(
        description="the bundle's folder (with `configs/`), seen from this file"
    )
    sha256: Sha256 | None = Field(
        default=None,
        description="digest of the very files that you trust; another bundle is refused, naming the digest it has",
        json_schema_extra={"shown_default": "required"},
    )
    weights: Inside | None = Field(
        default=None,
        description="the file of the network in the bundle",
        json_schema_extra={"shown_default": "`models/model.pt`, else `models/model.ts`"},
    )


class ServedAt(ManifestTable):
    """Where a model of runtime "remote" is served; see domain.remote.RemoteModel."""

    url: ServerUrl = Field(
        description="`http://host:port` or `https://host:port`, a path may follow; the settings must allow it in "
        "an [`[[egress]]`](settings.md)"
    )
    model: ServedName = Field(description="its name on the server")
    version: ServedName | None = Field(
        default=None, description="which version of it", json_schema_extra={"shown_default": "the server's choice"}
    )
    input: str | None = Field(
        default=None,
        description="which input, where there are several; the output is chosen by `[output] name`",
        json_schema_extra={"shown_default": "the only one"},
    )
    timeout_seconds: PositiveFloat = Field(
        default=60.0, description="for one answer of the server; `[resources] timeout_seconds` bounds the whole volume"
    )


class Weights(ManifestTable):
    """One file of weights that lies in a wheel on the Python package index."""

    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(description="the wheel")
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]*$")] = Field(description="which version of it")
    path: Inside = Field(description="the file in it")
    sha256: Sha256 = Field(description="digest of that file")
    file: Inside | None = Field(
        default=None,
        description="its name in the folder that `load(weights, device)` gets",
        json_schema_extra={"shown_default": "its own"},
    )
    convert: Function | None = Field(
        default=None, description='`"module:function"`, called as `function(source, target)` in a cage'
    )
    fingerprint: Sha256 | None = Field(
        default=None,
        description="sha256 of what the conversion makes",
        json_schema_extra={"shown_default": "required with `convert`"},
    )

    @model_validator(mode="after")
    def _converted(self) -> Self:
        if self.convert and not (self.file and self.fingerprint):
            raise ValueError("convert needs file, the name of what it makes, and fingerprint, the sha256 of it")
        return self

    @property
    def target(self) -> str:
        """Return the name of the file in the weights folder that the model is given."""
        return self.file or PurePosixPath(self.path).name
