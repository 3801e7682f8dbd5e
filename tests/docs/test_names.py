"""Each name that a person can write or meet stands in the reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import get_args

import pytest
from pydantic import BaseModel

from orchestrator.config.environment import fields
from orchestrator.domain.errors import InputFault
from orchestrator.domain.images import LeftOut
from orchestrator.domain.job import MOVES, JobState
from orchestrator.domain.records import DELIVERY_MOVES, SERIES_MOVES, DeliveryState, SeriesState
from orchestrator.domain.review import REVIEW_MOVES, RejectReason, ReviewState
from orchestrator.rules.keywords import HOST_FACTS
from orchestrator.rules.loading import RULE_KEYS
from orchestrator.sdk import hookspecs
from orchestrator.worker.manifest.schema import Manifest
from tests.docs.pages import text_of

STATES = text_of("docs/reference/states.md")
MOVES_OF: Mapping[type[StrEnum], Mapping[StrEnum, frozenset[StrEnum]]] = {
    JobState: MOVES,
    SeriesState: SERIES_MOVES,
    DeliveryState: DELIVERY_MOVES,
    ReviewState: REVIEW_MOVES,
}
TITLES = {JobState: "Job", SeriesState: "Series", DeliveryState: "Delivery", ReviewState: "Review"}


@pytest.mark.parametrize("hook", sorted(hookspecs.MODEL_HOOKS | hookspecs.HOST_HOOKS))
def test_every_hook_is_in_the_reference_with_its_arguments(hook: str) -> None:
    specification = getattr(hookspecs, hook)
    arguments = specification.__code__.co_varnames[: specification.__code__.co_argcount]
    assert f"{hook}({', '.join(arguments)})" in text_of("docs/reference/hooks.md")


def test_every_hook_specification_is_listed() -> None:
    specified = {name for name, value in vars(hookspecs).items() if hasattr(value, "orchestrator_spec")}
    assert specified == hookspecs.MODEL_HOOKS | hookspecs.HOST_HOOKS


@pytest.mark.parametrize("key", [".".join(str(part) for part in key) for key, _, _ in fields()])
def test_every_setting_is_in_the_reference(key: str) -> None:
    assert f"`{key.rpartition('.')[2]}`" in text_of("docs/reference/settings.md")


@pytest.mark.parametrize("key", [*RULE_KEYS, *HOST_FACTS])
def test_every_key_and_fact_of_rules_is_in_the_reference(key: str) -> None:
    assert f"`{key}`" in text_of("docs/reference/rules.md")


@pytest.mark.parametrize("reason", list(LeftOut))
def test_every_reason_to_leave_out_an_image_is_in_the_reference(reason: LeftOut) -> None:
    assert f"| `{reason}` |" in STATES


def _keys(section: type[BaseModel]) -> set[str]:
    found = set(section.model_fields)
    for field in section.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= _keys(kind)
    return found


@pytest.mark.parametrize("key", sorted(_keys(Manifest)))
def test_every_key_of_a_manifest_is_in_the_reference(key: str) -> None:
    assert re.search(rf"\b{key}\b", text_of("docs/reference/model-toml.md"))


def _rows(title: str) -> dict[str, set[str]]:
    """Return state -> the states that it may become, as the table under the title says."""
    section = STATES.partition(f"## {title}")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:3] == "| `"
    ]
    return {row[0].strip("`"): set(re.findall(r"`([^`]+)`", row[2])) for row in cells}


@pytest.mark.parametrize("states", MOVES_OF, ids=lambda states: states.__name__)
def test_every_state_and_move_is_in_the_reference(states: type[StrEnum]) -> None:
    allowed = {
        before.value: {after.value for after in moves if after is not before}
        for before, moves in MOVES_OF[states].items()
    }
    assert _rows(TITLES[states]) == allowed


@pytest.mark.parametrize("fault", InputFault)
def test_every_reason_for_unsupported_input_is_in_the_reference(fault: InputFault) -> None:
    assert f"| `{fault}` |" in STATES


@pytest.mark.parametrize("reason", RejectReason)
def test_every_reason_to_reject_is_in_the_reference(reason: RejectReason) -> None:
    assert f"`{reason}`" in text_of("docs/reference/command-line.md")


@pytest.mark.parametrize("state", JobState)
def test_what_is_promised_names_every_state(state: JobState) -> None:
    assert f"`{state}`" in text_of("docs/explanation/promises.md")
