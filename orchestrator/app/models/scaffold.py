"""Creates a new model that runs and passes its own tests (``orchestrator models new``)."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from orchestrator.app.installation.shipped_models import models_folder
from orchestrator.domain.errors import UserError
from orchestrator.worker.manifest.file import sha256

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 64
NETWORK = Path("bone-volume-onnx") / "model.onnx"
"""A network of two operations, one of the shipped models."""

_SUFFIX, _DOT = ".jinja", "dot-"
_RESERVED = frozenset({"tests", "test", "orchestrator"})


def new_model(name: str, into: Path, *, onnx: bool) -> Path:
    """Create and return the folder ``into/name`` with a Python package, or a network and its manifest.

    Raises UserError for an invalid name, or if the folder exists.
    """
    _check_name(name, module=not onnx)
    target = into / name
    if target.exists():
        raise UserError(f"{target} exists already; nothing was changed")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=into) as work:
        folder = Path(work) / name
        folder.mkdir()
        _fill(folder, name, onnx=onnx)
        folder.rename(target)
    return target


def _check_name(name: str, *, module: bool) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise UserError(
            f"{name!r} cannot name a model; write lower-case letters, digits and single hyphens, a letter first, "
            f"at most {LONGEST_NAME} characters, such as liver-lesion"
        )
    if module and (_module(name) in _RESERVED or keyword.iskeyword(name) or importlib.util.find_spec(_module(name))):
        raise UserError(f"{name!r} would hide the Python module {_module(name)}; choose another name")


def _module(name: str) -> str:
    return name.replace("-", "_")


def _fill(folder: Path, name: str, *, onnx: bool) -> None:
    values = {"name": name, "module": _module(name), "class_name": "".join(map(str.capitalize, name.split("-")))}
    if onnx:
        shutil.copyfile(models_folder() / NETWORK, folder / "model.onnx")
        values["sha256"] = sha256(folder / "model.onnx")
    _render("onnx" if onnx else "python", folder, values)


def _render(kind: str, folder: Path, values: Mapping[str, str]) -> None:
    templates = Environment(  # noqa: S701 - the output is Python, TOML and Markdown, never HTML
        loader=PackageLoader("orchestrator.app", f"templates/model/{kind}"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    for name in templates.list_templates(extensions=[_SUFFIX.lstrip(".")]):
        path = folder.joinpath(*(_target_name(part, values) for part in name.removesuffix(_SUFFIX).split("/")))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(templates.get_template(name).render(values), encoding="utf-8")


def _target_name(part: str, values: Mapping[str, str]) -> str:
    """Return the name of the file or folder for a part of a template's path."""
    return values["module"] if part == "module" else part.replace(_DOT, ".", 1) if part.startswith(_DOT) else part
