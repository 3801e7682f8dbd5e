"""The same input and model give the same key; anything that could change the result gives another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from orchestrator.domain.job import Priority, Purpose, job_key
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.series import Instance, series_digest

MODEL = ModelDescription(name="m", version="1", digest="d", parameters={"threshold": "300"})


def instance(number: int, digest: str = "") -> Instance:
    return Instance("1.2", "1.2.3", f"1.2.3.{number}", "1.2.840.10008.5.1.4.1.1.2", Path(), digest or f"d{number}")


@given(st.permutations([instance(n) for n in range(6)]))
def test_the_order_of_arrival_changes_neither_key_nor_digest(order: list[Instance]) -> None:
    plain = [instance(n) for n in range(6)]
    assert job_key(order, MODEL) == job_key(plain, MODEL)
    assert series_digest(order) == series_digest(plain)


@pytest.mark.parametrize(
    "model",
    [
        replace(MODEL, name="n"),
        replace(MODEL, version="2"),
        replace(MODEL, digest="e"),
        replace(MODEL, parameters={"threshold": "200"}),
    ],
    ids=["name", "version", "weights", "parameters"],
)
def test_another_model_is_another_job(model: ModelDescription) -> None:
    assert job_key([instance(1)], model) != job_key([instance(1)], MODEL)


def test_corrected_content_another_count_or_purpose_is_another_job() -> None:
    keys = {
        job_key([instance(1)], MODEL),
        job_key([instance(1, "corrected")], MODEL),
        job_key([instance(1), instance(2)], MODEL),
        job_key([instance(1)], MODEL, Purpose.SHADOW),
    }
    assert len(keys) == 4


def test_a_priority_is_never_rank_zero_which_the_engine_reads_as_unset() -> None:
    assert [priority.rank for priority in Priority] == [1, 2, 3, 4]
