"""Faults of a rules file: all of them, each with its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.domain.errors import RulesError
from orchestrator.rules import load_rules, parse_rules


def fault_of(text: str, **options: object) -> str:
    with pytest.raises(RulesError) as raised:
        parse_rules(text, **options)  # type: ignore[arg-type]
    return str(raised.value)


def fault_of_condition(condition: str) -> str:
    return fault_of(f'[[rule]]\nname = "r"\nmodel = "m"\n[rule.when]\n{condition}\n')


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("SliceThicknes = 3", "'SliceThicknes' is not a DICOM keyword. Did you mean 'SliceThickness'?"),
        ("slicethickness = 3", "Did you mean 'SliceThickness'?"),
        ("InstanceCont = 3", "Did you mean 'InstanceCount'?"),
        ('"" = 3', "'' is not a DICOM keyword"),
        ('"(0008,0060)" = "CT"', "is a tag; write its keyword 'Modality'"),
        ('Modality.x = "CT"', "in braces write"),
        ('Modality = "MRI"', "Modality: 'MRI' is not a value of DICOM. Did you mean 'MR'?"),
        ('Modality = "XY"', "Modality: 'XY' is not a value of DICOM. Did you mean 'XA'?"),
        ('Modality = "X*X"', "'X*X' is not a value of DICOM."),
        ('PatientSex = "W"', "'W' is not a value of DICOM. Write M, F or O."),
        ('Orientation = "transversal"', "is not a value of this host. Write axial, coronal, sagittal or oblique."),
        ('SliceThickness = "3*"', "'3*' is not a valid number; write 3 or 2.5 without quotes"),
        ("SliceThickness = nan", "is not a valid number"),
        ("SliceThickness = { max = inf }", "is not a valid number"),
        ("SliceThickness = { min = 3, max = 2 }", "min 3 is greater than max 2"),
        ("SliceThickness = {}", "in braces write"),
        ("SliceThickness = { mni = 3 }", "in braces write"),
        ("SliceThickness = { present = 1 }", "in braces write"),
        ("SliceThickness = { present = true, min = 1 }", "in braces write"),
        ("SliceThickness = true", "write { present = true }"),
        ("SliceThickness = []", "empty list"),
        ("SliceThickness = [[1]]", "is not a valid number"),
        ("BodyPartExamined = { min = 3 }", "which has no range"),
        ("BodyPartExamined = 3", "write '3' in quotes"),
        ('BodyPartExamined = " "', "write { present = false }"),
        ("ImageType = 'ORIGINAL\\PRIMARY'", "a backslash separates values"),
        ('StudyDate = "2024*"', "is not a valid date; write 2024-01-31"),
        ('StudyDate = "20240230"', "is not a valid date"),
        ("StudyDate = 2024-01-01T08:00:00", "is not a valid date"),
        ('StudyTime = "8"', "is not a valid time"),
        ('StudyTime = "2460"', "is not a valid time"),
        ('StudyTime = { min = "22", max = "06" }', "is greater than"),
        ('PatientAge = "18"', "is not a valid age"),
        ("PatientAge = -1", "is not a valid age"),
        ("PatientAge = 1e300", "is not a valid age"),
        ('AcquisitionDateTime = "202413"', "is not a valid date-time"),
        ('SOPClassUID = "CT Image Storage"', "'CT Image Storage' is not a UID; write 1.2.840.10008.5.1.4.1.1.2"),
        ("ReferencedStudySequence = { present = true }", "sequences and binary values"),
        ('PixelData = "x"', "sequences and binary values"),
        ('TransferSyntaxUID = "1.2"', "not an attribute of the image itself"),
        ('CodeValue = "x"', "not an attribute of the image itself"),
    ],
)
def test_a_condition_that_could_never_be_true_is_a_fault(condition: str, sentence: str) -> None:
    fault = fault_of_condition(condition)
    assert fault.startswith("rules:5: ")
    assert sentence in fault


@pytest.mark.parametrize(
    ("rule", "line", "sentence"),
    [
        ('model = "m"\nwhen.Rows = 1', 1, "the rule has no name"),
        ('name = ""\nmodel = "m"\nwhen.Rows = 1', 2, "one line of text"),
        ('name = 3\nmodel = "m"\nwhen.Rows = 1', 2, "one line of text in quotes"),
        ('name = "r"\nwhen.Rows = 1', 1, "add a model, or hold = true"),
        ('name = "r"\nhold = false\nwhen.Rows = 1', 1, "add a model, or hold = true"),
        ('name = "r"\nhold = "yes"\nwhen.Rows = 1', 3, "hold must be true or false"),
        ('name = "r"\nmodel = "m"\nmodels = ["n"]\nwhen.Rows = 1', 4, "not both"),
        ('name = "r"\nmodels = []\nwhen.Rows = 1', 3, "the list of models is empty"),
        ('name = "r"\nmodels = [\n"m",\n"m"]\nwhen.Rows = 1', 5, "twice"),
        ('name = "r"\nmodel = ["m"]\nwhen.Rows = 1', 3, "the name of a model must be text"),
        ('name = "r"\nmodel = "m"\npriority = "asap"\nwhen.Rows = 1', 4, "write stat, urgent, routine or backfill"),
        ('name = "r"\nmodel = "m"\npriority = []\nwhen.Rows = 1', 4, "is not a priority"),
        ('name = "r"\nmodel = "m"', 1, "the rule has no [rule.when]"),
        ('name = "r"\nmodel = "m"\nwhen = []', 4, "when is an empty list"),
        ('name = "r"\nmodel = "m"\nwhen = {}', 4, "the table has no condition"),
        ('name = "r"\nmodel = "m"\nwhen = "CT"', 4, "write conditions in a table"),
        ('name = "r"\nmodel = "m"\nwhen.Rows = 1\nunless = {}', 5, "the table has no condition"),
        ('name = "r"\nmodel = "m"\nwhen.Rows = 1\nunles = {}', 5, "Did you mean 'unless'?"),
        ('name = "r"\nmodel = "m"\nwhen.Rows = 1\ndescription = 3', 5, "description must be text"),
    ],
)
def test_a_rule_that_says_too_little_or_too_much_is_a_fault(rule: str, line: int, sentence: str) -> None:
    fault = fault_of(f"[[rule]]\n{rule}\n")
    assert fault.startswith(f"rules:{line}: ")
    assert sentence in fault


@pytest.mark.parametrize("text", ["", "# nothing", "rule = []"])
def test_a_file_without_rules_is_a_fault(text: str) -> None:
    assert "has no [[rule]]" in fault_of(text)


@pytest.mark.parametrize("text", ['[rule]\nname = "r"', "rule = 3", "rule = [3]"])
def test_rules_begin_in_two_brackets(text: str) -> None:
    assert "[[rule]], in two brackets" in fault_of(text)


def test_all_faults_are_reported_in_the_order_of_the_file() -> None:
    rule = '[[rule]]\nname = "same"\nmodel = "lung"\nwhen.Rowz = 1\n'
    fault = fault_of(f"x = 1\n{rule}{rule}", models=["liver"])
    assert [line.split(":")[1] for line in fault.splitlines()] == ["1", "4", "5", "7", "8", "9"]


def test_an_unknown_model_is_a_fault_only_where_the_models_are_known() -> None:
    text = '[[rule]]\nname = "r"\nmodel = "lung-nodul"\nwhen.Rows = 1'
    assert "Did you mean 'lung-nodule'?" in fault_of(text, models=["lung-nodule"])
    assert parse_rules(text).rules[0].models == ("lung-nodul",)


def test_hundreds_of_faults_are_cut_where_nobody_reads_on() -> None:
    rules = "".join(f'[[rule]]\nname = "{number}"\nmodel = "m"\nwhen.Rowz{number} = 1\n' for number in range(2000))
    fault = fault_of(rules)
    assert len(fault.splitlines()) == 51
    assert fault.endswith("... and 1950 more.")


def test_facts_of_plugins_can_be_asked_for_by_their_kind() -> None:
    text = '[[rule]]\nname = "r"\nmodel = "m"\n[rule.when]\nOrderAge = { max = 3 }\nWard = "ICU*"'
    rules = parse_rules(text, extra_facts={"OrderAge": "number", "Ward": "text"})
    assert rules.match({"OrderAge": (2,), "Ward": ("icu 3",)})
    assert "is not a DICOM keyword" in fault_of(text)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"Modality": "text"}, "is in use"),
        ({"Source": "text"}, "is in use"),
        ({"Ward": "words"}, "Use one of"),
    ],
)
def test_a_plugin_cannot_hide_a_keyword(facts: dict[str, str], sentence: str) -> None:
    assert sentence in fault_of('[[rule]]\nname = "r"\nmodel = "m"\nwhen.Rows = 1', extra_facts=facts)


def test_a_file_names_itself_and_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[[rule]\n")
    with pytest.raises(RulesError, match=rf"^{path}:1: "):
        load_rules(path)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"rules\.toml cannot be read: No such file or directory\.$"):
        load_rules(tmp_path / "rules.toml")


def test_a_file_from_a_windows_editor_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(b'\xef\xbb\xbf[[rule]]\r\nname = "r"\r\nmodel = "m"\r\nwhen.Rows = 1\r\n')
    assert load_rules(path).rules[0].name == "r"
