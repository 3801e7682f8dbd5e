"""The import orders of docs/explanation/architecture.md, made from the contracts in pyproject.toml.

``python -m tests.docs.import_orders`` writes them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/architecture.md"
WIDTH = 118
_BLOCK = re.compile(r"(<!-- (order of the rooms|orders within rooms) -->\n)```\n.*?```", re.DOTALL)


def page() -> str:
    """Return the page with its orders as the contracts have them."""
    orders = dict(_orders())
    names = max(map(len, orders))
    blocks = {
        "order of the rooms": _wrapped(orders.pop(""), indent=4),
        "orders within rooms": "\n".join(
            f" {name.ljust(names)}  {_wrapped(order, indent=names + 3).lstrip()}" for name, order in orders.items()
        ),
    }
    return _BLOCK.sub(lambda match: f"{match[1]}```\n{blocks[match[2]]}\n```", PAGE.read_text(encoding="utf-8"))


def _orders() -> Iterator[tuple[str, list[str]]]:
    """Yield (room, its layers from top to bottom); the room is "" for the order of all rooms."""
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            layers = [layer.replace("orchestrator.", "") for layer in contract["layers"]]
            yield contract.get("containers", [""])[0].removeprefix("orchestrator."), layers


def _wrapped(layers: list[str], indent: int) -> str:
    lines = [" " * indent + layers[0]]
    for layer in layers[1:]:
        if len(lines[-1]) + len(layer) + 3 > WIDTH:
            lines.append(" " * indent + f"> {layer}")
        else:
            lines[-1] += f" > {layer}"
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
