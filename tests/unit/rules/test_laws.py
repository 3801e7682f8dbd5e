"""Laws that hold for all rules and all series."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orchestrator.domain.errors import RulesError
from orchestrator.domain.series import Headers, HeaderValue
from orchestrator.rules import Rule, RuleSet, evaluate, parse_rules, to_query

# the machine may be busy with other tests
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
MODALITIES = ("CT", "MR", "CR", "SR")
DATES = st.dates(date(2023, 12, 30), date(2024, 1, 3))


def quoted(text: str) -> str:
    return f'"{text}"'


def ranges(values: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    low = values.map(lambda low: f"{{ min = {low} }}")
    high = values.map(lambda high: f"{{ max = {high} }}")
    both = st.tuples(values, values).map(sorted).map(lambda ends: f"{{ min = {ends[0]}, max = {ends[1]} }}")
    return low | high | both


def conditions_on(keyword: str, choices: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    presence = st.sampled_from(["{ present = true }", "{ present = false }"])
    several = st.lists(choices | presence, min_size=1, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
    return (choices | presence | several).map(lambda value: f"{keyword} = {value}")


SMALL = st.integers(0, 4)
CONDITIONS = [
    conditions_on("Modality", st.sampled_from([*map(quoted, MODALITIES), '"C*"', '"?R"', '"ct"'])),
    conditions_on("StudyDate", DATES.map(str) | ranges(DATES)),
    conditions_on("SeriesInstanceUID", st.sampled_from(['"1.2"', '"1.3"', '"1.*"'])),
    conditions_on("BodyPartExamined", st.sampled_from(['"HEAD"', '"*EA*"', '"chest"'])),
    conditions_on("SliceThickness", SMALL.map(str) | ranges(SMALL)),
    conditions_on("PatientAge", SMALL.map(str) | ranges(SMALL)),
]


def tables(most: int) -> st.SearchStrategy[tuple[str, ...]]:
    """Return tables of one to so many conditions, each on a keyword of its own."""
    chosen = st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=most, unique_by=id)
    return chosen.flatmap(lambda parts: st.tuples(*parts))


@st.composite
def rules(draw: st.DrawFn, most: int = len(CONDITIONS), excludes: bool = True) -> Rule:
    clauses = draw(st.lists(tables(most), min_size=1, max_size=3))
    exclusions = draw(st.lists(tables(most), max_size=2)) if excludes else []
    lines = ["[[rule]]", 'name = "r"', 'model = "m"']
    for header, written in (("[[rule.when]]", clauses), ("[[rule.unless]]", exclusions)):
        for table in written:
            lines += [header, *table]
    return parse_rules("\n".join(lines)).rules[0]


def facts() -> st.SearchStrategy[dict[str, tuple[HeaderValue, ...]]]:
    def one(values: st.SearchStrategy[HeaderValue]) -> st.SearchStrategy[tuple[HeaderValue, ...]]:
        return st.tuples(values)

    return st.fixed_dictionaries(
        {"Modality": one(st.sampled_from(MODALITIES))},
        optional={
            "StudyDate": one(DATES.map(lambda day: day.strftime("%Y%m%d")) | st.sampled_from(["", "2024", "x"])),
            "SeriesInstanceUID": one(st.sampled_from(["1.2", "1.3", "1.4"])),
            "BodyPartExamined": st.lists(st.sampled_from(["HEAD", "head", "Chest", ""]), max_size=2).map(tuple),
            "SliceThickness": st.lists(st.floats(0, 4) | st.just("thin"), max_size=2).map(tuple),
            "PatientAge": one(st.sampled_from(["003Y", "040M", "099D", "old"])),
        },
    )


@UNHURRIED
@given(st.lists(rules(), min_size=1, max_size=3), facts())
def test_explain_agrees_with_match(several: Sequence[Rule], series: Headers) -> None:
    named = [replace(rule, name=str(number)) for number, rule in enumerate(several)]
    rule_set = RuleSet(tuple(named))
    explanation = rule_set.explain(series)
    assert {match.rule for match in rule_set.match(series)} == set(explanation.matches)


@UNHURRIED
@given(rules(most=2, excludes=False).filter(lambda rule: len(rule.when) < 3), facts())
def test_an_archive_query_never_loses_a_match(rule: Rule, series: Headers) -> None:
    assume(RuleSet((rule,)).match(series))
    assert any(answers(query, series) for query in to_query(rule))


@UNHURRIED
@given(rules(), facts(), st.sets(st.sampled_from(["Modality", "StudyDate", "BodyPartExamined", "SliceThickness"])))
def test_what_an_archive_left_out_never_contradicts_the_images(rule: Rule, series: Headers, left_out: set[str]) -> None:
    answered = {keyword: values for keyword, values in series.items() if keyword not in left_out}
    matched = bool(RuleSet((rule,)).match(series))
    assert RuleSet((rule,)).may_match(answered) or not matched
    assert evaluate(rule, answered, lambda keyword: keyword not in left_out) in {matched, None}


@UNHURRIED
@given(rules(), facts())
def test_with_all_facts_known_the_judgement_is_the_match(rule: Rule, series: Headers) -> None:
    assert evaluate(rule, series, lambda _: True) is bool(RuleSet((rule,)).match(series))


@UNHURRIED
@given(rules(), rules(), st.integers(0, 2), facts())
def test_adding_a_condition_never_widens(rule: Rule, other: Rule, index: int, series: Headers) -> None:
    added = other.when[0][0]
    clauses = tuple((*clause, added) if number == index else clause for number, clause in enumerate(rule.when))
    for narrower in (replace(rule, when=clauses), replace(rule, unless=(*rule.unless, added))):
        assert rule.matches(series) or not narrower.matches(series)


@UNHURRIED
@given(st.text() | st.text(st.sampled_from("[]{}\".=\n\\#'rulewhn1,T:-")))
def test_any_text_is_rules_or_a_rules_error(text: str) -> None:
    with contextlib.suppress(RulesError):
        parse_rules(text)


VALUES = st.recursive(
    st.sampled_from(
        ['"x"', "''", "1", "-0.5", "nan", "true", "2024-01-01", "08:00:00", "2024-01-01T08:00:00Z", "[]", "{}"]
    ),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda parts: f"[{', '.join(parts)}]")
        | inner.map(lambda value: f"{{ min = {value} }}")
        | inner.map(lambda value: f"{{ present = {value} }}")
    ),
)
KEYS = ["name", "model", "models", "hold", "priority", "description", "when", "unless", "x"]
KEYWORDS = [
    "Modality",
    "Rows",
    "StudyDate",
    "StudyTime",
    "AcquisitionDateTime",
    "PatientAge",
    "SOPClassUID",
    "PixelData",
]


@UNHURRIED
@given(
    st.dictionaries(st.sampled_from(KEYS), VALUES),
    st.dictionaries(st.sampled_from(KEYWORDS), VALUES),
)
def test_any_value_anywhere_is_rules_or_a_rules_error(rule: Mapping[str, str], when: Mapping[str, str]) -> None:
    lines = ["[[rule]]", *(f"{key} = {value}" for key, value in rule.items())]
    if "when" not in rule:
        lines += ["[rule.when]", *(f"{key} = {value}" for key, value in when.items())]
    with contextlib.suppress(RulesError):
        parse_rules("\n".join(lines)).match(dict.fromkeys(KEYWORDS, ("x",)))


def answers(query: Mapping[str, str], series: Headers) -> bool:
    """Return whether an archive returns the series: single values exactly, dates by range (PS3.4 C.2.2.2)."""
    return all(answers_key(wanted, series.get(keyword, ())) for keyword, wanted in query.items())


def answers_key(wanted: str, held: Sequence[HeaderValue]) -> bool:
    low, dash, high = wanted.partition("-")
    if dash:
        return any(low <= str(value) and (not high or str(value) <= high) for value in held)
    return wanted in held
