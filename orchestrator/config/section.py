"""Base class of the tables of the settings file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One table of the settings file: immutable, without unknown keys.

    Relative paths start at the folder in the validation context ``{"base": Path}``, else at the working directory.
    Defaults are validated like values of the file.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
        allow_inf_nan=False,
        validate_by_name=True,  # Settings(archives=...) in code; a file has [[archive]]
        validate_by_alias=True,
        defer_build=True,  # built at first use: commands that read no settings start faster
    )
