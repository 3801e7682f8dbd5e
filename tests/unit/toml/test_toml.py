"""TOML files: the line of each value, and limits that no file gets past."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.errors import UserError
from orchestrator.toml import Document, Faults, Key, did_you_mean, parse, read

TEXT = """a = 1
b = [ # a comment
  1, # another
  2]
[[rule]]
name = "x"
[rule.when]
"Body Part" = ["A", "B"]
Thickness = {max = 3, min = 2}
[[rule.unless]]
x = 1
[[rule.unless]]
y.z = 1
[[rule]]
name = "z"
[[rule.when]]
q = 1
[t."a.b".c]
d = [{e = 1},
{e = 2}]
"""


def parsed(text: str) -> Document:
    return parse(text, "file.toml", UserError)


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("a",), 1),
        (("b", 0), 3),
        (("b", 1), 4),
        (("rule", 0), 5),
        (("rule", 0, "when", "Body Part"), 8),
        (("rule", 0, "when", "Thickness", "min"), 9),
        (("rule", 0, "unless", 0), 10),
        (("rule", 0, "unless", 1, "y", "z"), 13),
        (("rule", 1, "name"), 15),
        (("rule", 1, "when", 0, "q"), 17),
        (("t", "a.b", "c", "d", 1, "e"), 20),
        (("rule", 1, "model"), 14),
        (("nothing", "here"), 1),
    ],
)
def test_a_value_or_the_table_around_it_has_a_line(key: Key, line: int) -> None:
    assert parsed(TEXT).line(key) == line


def keys_of(values: object, path: Key = ()) -> set[Key]:
    """Return the key of every value in parsed TOML."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    found = {path} if path else set()
    return found.union(*(keys_of(value, (*path, part)) for part, value in pairs))


NAMES = st.sampled_from(["a", "b-c", '"d e"', "'f.g'"])
LEAVES = st.sampled_from(["1", '"x"', "[1, [2]]", "{k = 1, l.m = [2]}", '"""\n[x]\n"""', "[\n1,\n#c\n2\n]"])
LINES = st.builds(lambda keys, value: f"{'.'.join(keys)} = {value}", st.lists(NAMES, min_size=1, max_size=2), LEAVES)
HEADS = st.builds(lambda name, list_: f"[[{name}]]" if list_ else f"[{name}]", NAMES, st.booleans())


@settings(deadline=None)
@given(st.lists(LINES | HEADS, max_size=6))
def test_every_value_of_a_sound_file_has_a_line_of_its_own(lines: list[str]) -> None:
    try:
        document = parsed("\n".join(lines))
    except UserError:
        return
    assert keys_of(document.values) <= document.lines.keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb =\n", "file.toml:2: Invalid value."),
        ("a = 1\na = 2", "file.toml:2: Cannot overwrite a value."),
        ('a = "x', "file.toml:1: "),
        ("a = 2024-02-31", "file.toml:1: "),
        ("x = 1\n" + "a" * 4097, "file.toml:2: the line is longer than 4096 characters."),
        ("x = 1\n" + "a." * 100 + "b = 1", "file.toml:2: the key has more than 32 parts."),
        ("[" + '"a". ' * 100 + "b]", "file.toml:1: the key has more than 32 parts."),
        ("a = " + "[" * 2000, "file.toml: tables or arrays are nested too deeply."),
    ],
)
def test_what_is_no_toml_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        parsed(text)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_a_uid_in_text_is_no_deep_key() -> None:
    assert parsed(f'a = "{"1." * 200}"').values


@pytest.mark.parametrize(
    "line",
    [
        "a." * 31 + "k{} = 1\n",
        "[" + "a." * 30 + "k{}]\n",
        "k{} = " + "{{x = " * 50 + "1" + "}}" * 50 + "\n",
        "[[r]]\nk{} = 1\n",
    ],
)
def test_the_largest_file_is_read_in_seconds(line: str) -> None:
    text = "".join(line.format(number) for number in range(256 * 1024 // len(line)))
    before = time.process_time()
    parsed(text)
    assert time.process_time() - before < 20


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_text("#" * 80 + "\n" + "# \n" * 100_000)
    with pytest.raises(UserError, match=r"large\.toml is larger than 256 KB"):
        read(path, UserError)


def test_a_text_that_is_no_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b"a = 1\nb = 'M\xfcller'\n")
    with pytest.raises(UserError, match=r"latin\.toml:2: the text is not UTF-8"):
        read(path, UserError)


def test_faults_come_in_the_order_of_the_file() -> None:
    faults = Faults(parsed("a = 1\nb = 2\n"))
    faults.add(("b",), "second")
    faults.add(("a",), "first", "colour", ["color", "shape"])
    with pytest.raises(UserError, match=r"^file\.toml:1: first\. Did you mean 'color'\?\nfile\.toml:2: second\.$"):
        faults.raise_as(UserError)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("MODALTY", " Did you mean 'Modality'?"),
        ("modality", " Did you mean 'Modality'?"),
        ("xyz", ""),
        ("M" * 99, ""),
    ],
)
def test_the_nearest_word_is_offered_whatever_its_case(word: str, hint: str) -> None:
    assert did_you_mean(word, ["Modality", "Rows"]) == hint
