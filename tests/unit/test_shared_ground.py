"""What every room needs exists once: no other module does it by itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestrator

PACKAGE = Path(orchestrator.__file__).parent

ONCE = {
    "durable.py": {"os.fsync", "os.fdatasync"},
    "network/certificates.py": {"cryptography.x509", "cert_time_to_seconds"},
    "network/http.py": {"httpx"},
    "network/tls.py": {
        "ssl.create_default_context",
        "load_cert_chain",
        "load_default_certs",
        "load_verify_locations",
        "minimum_version",
        "set_ciphers",
    },
}
"""Module below the package -> what it alone may name."""


def names(tree: ast.AST) -> Iterator[str]:
    """Yield every attribute, alone and with what stands before it, and every name or module that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.Attribute):
            yield node.attr
            if isinstance(node.value, ast.Name):
                yield f"{node.value.id}.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.AST]:
    """Return module -> its syntax tree."""
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    return {name: ast.parse(path.read_text()) for name, path in files.items()}


@pytest.fixture(scope="module")
def named(trees: dict[str, ast.AST]) -> dict[str, set[str]]:
    """Return module -> the names in it."""
    return {name: set(names(tree)) for name, tree in trees.items()}


@pytest.mark.parametrize("module", ONCE)
def test_one_module_alone_does_it(module: str, named: dict[str, set[str]]) -> None:
    assert ONCE[module] & named[module]
    assert not {other for other, found in named.items() if other != module and found & ONCE[module]}


def doubles(node: ast.AST) -> bool:
    """Return whether the node computes a wait: two to the power of a variable, or ``min`` of something doubled."""
    match node:
        case ast.BinOp(left=ast.Constant(value=2), op=ast.Pow(), right=exponent):
            return not isinstance(exponent, ast.Constant)
        case ast.Call(func=ast.Name(id="min"), args=args):
            return any(
                isinstance(each, ast.BinOp)
                and isinstance(each.op, ast.Mult)
                and any(isinstance(side, ast.Constant) and side.value == 2 for side in (each.left, each.right))
                for each in args
            )
    return False


def test_waits_are_computed_in_one_module(trees: dict[str, ast.AST]) -> None:
    assert {name for name, tree in trees.items() if any(map(doubles, ast.walk(tree)))} == {"backoff.py"}


def test_one_module_alone_starts_an_orthanc() -> None:
    root = PACKAGE.parent
    files = [path for folder in ("orchestrator", "tests", "benchmarks") for path in (root / folder).rglob("*.py")]
    starters = {path.relative_to(root).as_posix() for path in files if '"StorageDirectory"' in path.read_text()}
    assert starters - {Path(__file__).relative_to(root).as_posix()} == {"orchestrator/app/demo/orthanc_server.py"}
