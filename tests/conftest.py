"""What every test shares: where CI=true, nothing may be skipped; tests of GPUs are those of machines with one."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from orchestrator.worker.devices.devices import find_devices

TESTS = Path(__file__).parent
LONGEST_NAME = 80

settings.register_profile("any machine", deadline=None)  # a busy machine makes no example wrong
settings.register_profile("a minute", deadline=None, max_examples=20)  # `make unit`; `make test` draws 100
settings.load_profile("any machine")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and with CI=true nothing may be: {report.longrepr}"
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Group the tests of modules that share something, and deselect what this machine cannot run."""
    _group_modules(items)
    _deselect_gpus(config, items)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a long value by its beginning and its length: a test's name is for people."""
    return f"{val[:40]}... {len(val)}" if isinstance(val, str) and len(val) > LONGEST_NAME else None


def _group_modules(items: list[pytest.Item]) -> None:
    """Run a module that starts something once on one worker of pytest-xdist, so that it is started once."""
    sharing = {item.path for item in items if _shares(item)}
    for item in items:
        if item.path in sharing and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(TESTS).as_posix()))


def _shares(item: pytest.Item) -> bool:
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs.values()  # noqa: B009  # pytest has no public way
    return any(definition.scope == "module" for each in definitions for definition in each)


def _deselect_gpus(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what needs a GPU where there is none: not skipped, since no run on this machine could do it."""
    of_gpus = [item for item in items if item.get_closest_marker("gpu")]
    if of_gpus and not any(device.is_gpu for device in find_devices()):
        items[:] = [item for item in items if item not in of_gpus]
        config.hook.pytest_deselected(items=of_gpus)
