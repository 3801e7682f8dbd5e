"""Which installed distributions some requirements lead to, and constraints.txt made of them.

``python -m tests.integration.packaging.closure`` writes constraints.txt anew from this environment, which
must hold what all extras ask for; do it when `make test` has passed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = ROOT / "constraints.txt"
HEAD = """\
# What was tested together, on Python 3.11: every package that the project and its extras lead to.
# Written by `python -m tests.integration.packaging.closure`; `make` installs within it.
"""


def needed(requirements: Iterable[str]) -> dict[str, metadata.Distribution]:
    """Return the distributions that the requirements lead to, by canonical name.

    Raises PackageNotFoundError where this environment lacks one.
    """
    found: dict[tuple[str, frozenset[str]], metadata.Distribution] = {}
    wanted = [need for text in requirements if _applies(need := Requirement(text), frozenset())]
    while wanted:
        requirement = wanted.pop()
        asked = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if asked not in found:
            found[asked] = metadata.distribution(requirement.name)
            needs = map(Requirement, found[asked].requires or ())
            wanted += [need for need in needs if _applies(need, asked[1])]
    return {name: distribution for (name, _), distribution in found.items()}


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def asked_for() -> list[str]:
    """Return what the project and all its extras ask for, the project itself left out."""
    groups = (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    return sorted({text for group in groups for text in group if Requirement(text).name != PROJECT["name"]})


def pinned() -> dict[str, Version]:
    """Return the versions of constraints.txt by canonical name."""
    pins = [Requirement(line) for line in CONSTRAINTS.read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("==")) for pin in pins}


def main() -> None:
    """Write constraints.txt; builds for one machine (``+cpu``) are named by their public version."""
    pins = {name: Version(each.version).public for name, each in needed(asked_for()).items()}
    CONSTRAINTS.write_text(HEAD + "".join(f"{name}=={version}\n" for name, version in sorted(pins.items())))


if __name__ == "__main__":
    main()
