"""Packages that only some runtimes need."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from orchestrator.domain.errors import EnvironmentMissing


def required(module: str, extra: str) -> Any:
    """Return the imported module; untyped, so that this code is checked alike where it is not installed.

    Raises EnvironmentMissing, naming the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        raise EnvironmentMissing(
            f"{sys.executable} has no package {missing.name!r}: run pip install 'radiology-orchestrator[{extra}]', or "
            "name the packages in requirements of model.toml and run orchestrator models install"
        ) from None
