"""Plugin files with one model each, written by a test."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent, indent

PLUGIN = '''
"""A model for a test."""
import os, sys, time
import numpy as np
from orchestrator.sdk import *
from orchestrator.sdk import hookimpl


class Subject:
    name = "{name}"
    version = "1"
    {attributes}

    def predict(self, volume):
{body}


@hookimpl
def register_models(register):
    register(Subject())
'''
BRIGHT = "return Result([Segment('Bright', volume.voxels > np.percentile(volume.voxels, 95), codes['bone'])])"
"""A body that always finds something."""


def write_model(folder: Path, name: str, body: str = BRIGHT, attributes: str = "") -> Path:
    """Write ``folder/<name>.py`` with a model whose predict has this body, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('-', '_')}.py"
    text = indent(dedent(body).strip(), " " * 8)
    path.write_text(PLUGIN.format(name=name, body=text, attributes=attributes))
    return path


def rule(name: str, *models: str, **when: object) -> str:
    """Return one rule of a rules file: these models where the keywords have these values."""
    named = f"model = {_toml(models[0])}" if len(models) == 1 else f"models = {_toml(list(models))}"
    lines = [f"{key} = {_toml(value)}" for key, value in when.items()]
    return "\n".join(["[[rule]]", f"name = {_toml(name)}", named, "[rule.when]", *lines, "", ""])


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)
