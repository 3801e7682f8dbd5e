"""Imports packages that only some runtimes need."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from orchestrator.domain.errors import EnvironmentMissing


def require(module: str, extra: str) -> Any:
    """Import and return the module. It is untyped, so that type checks pass without the package.

    Raises EnvironmentMissing that says how to install the package.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        raise EnvironmentMissing(
            f"{sys.executable} has no package {missing.name!r}. Run pip install 'radiology-orchestrator[{extra}]', or "
            "add the package to requirements in model.toml and run orchestrator models install"
        ) from None
