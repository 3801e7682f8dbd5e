"""What the tables of the settings file have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One table of the settings file: frozen, and refusing keys that it does not know.

    Relative paths start at the folder given as validation context ``{"base": Path}``, else at the
    working directory. Defaults are treated like written values.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
        allow_inf_nan=False,
        validate_by_name=True,  # Settings(archives=...) in code; a file has [[archive]]
        validate_by_alias=True,
        defer_build=True,  # built when first read: a command that reads none does not wait for it
    )
