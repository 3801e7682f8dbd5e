"""``orchestrator models new``: a model that runs and passes its own tests, to be changed into one's own."""

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
"""Among the shipped models: a real network, of two operations."""

_SUFFIX, _DOT = ".jinja", "dot-"
_TAKEN = frozenset({"tests", "test", "orchestrator"})


def new_model(name: str, into: Path, *, onnx: bool) -> Path:
    """Return the new folder ``into/name``: a Python package, or a network with its manifest.

    Raises UserError for a name that cannot be one, and where something of that name is there already.
    """
    _check_name(name, module=not onnx)
    target = into / name
    if target.exists():
        raise UserError(f"{target} is there already; nothing was changed")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=into) as work:
        made = Path(work) / name
        made.mkdir()
        _fill(made, name, onnx=onnx)
        made.rename(target)
    return target


def _check_name(name: str, *, module: bool) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise UserError(
            f"{name!r} cannot name a model: small letters, digits and single hyphens, a letter first, "
            f"at most {LONGEST_NAME}, such as liver-lesion"
        )
    if module and (_module(name) in _TAKEN or keyword.iskeyword(name) or importlib.util.find_spec(_module(name))):
        raise UserError(f"{name!r} would hide the Python module {_module(name)}; choose another name")


def _module(name: str) -> str:
    return name.replace("-", "_")


def _fill(folder: Path, name: str, *, onnx: bool) -> None:
    told = {"name": name, "module": _module(name), "class_name": "".join(map(str.capitalize, name.split("-")))}
    if onnx:
        shutil.copyfile(models_folder() / NETWORK, folder / "model.onnx")
        told["sha256"] = sha256(folder / "model.onnx")
    _render("onnx" if onnx else "python", folder, told)


def _render(kind: str, folder: Path, told: Mapping[str, str]) -> None:
    templates = Environment(  # noqa: S701 - what is written is Python, TOML and Markdown, never HTML
        loader=PackageLoader("orchestrator.app", f"templates/model/{kind}"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    for name in templates.list_templates(extensions=[_SUFFIX.lstrip(".")]):
        path = folder.joinpath(*(_written(part, told) for part in name.removesuffix(_SUFFIX).split("/")))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(templates.get_template(name).render(told), encoding="utf-8")


def _written(part: str, told: Mapping[str, str]) -> str:
    """Return the name that a file or folder of the template gets."""
    return told["module"] if part == "module" else part.replace(_DOT, ".", 1) if part.startswith(_DOT) else part
