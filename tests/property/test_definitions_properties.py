"""Whatever stands in a definitions file, the answer is definitions or faults, never a crash."""

import json
import random
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings, strategies as st

from schemas.faults import Fault, Faults
from schemas.load import load
from schemas.reading import json_tree, yaml_tree
from schemas.reading.nodes import TreeError, bare
from tests.generators.definitions import definitions

EXAMPLE = (Path(__file__).parents[2] / "examples" / "metrics.yaml").read_text(encoding="utf-8")
LINES = EXAMPLE.splitlines(keepends=True)
SNIPPETS = st.sampled_from(
    [
        "",
        ":",
        "- ",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "\t",
        "&a ",
        "*a",
        "<<: ",
        "!x ",
        "~",
        "null",
        "1e9",
        "#",
        ",",
        "-",
        "é",
    ]
)
WORDS = st.sampled_from(sorted({word.strip(":,[]{}") for word in EXAMPLE.split()}))


@st.composite
def mangled(draw: st.DrawFn) -> str:
    """The example with a few lines, words or characters dropped, doubled, swapped or put in."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        column = draw(st.integers(0, len(lines[at])))
        match draw(st.integers(0, 4)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[draw(st.integers(0, len(lines) - 1))])
            case 2:
                lines[at] = lines[at][:column] + draw(SNIPPETS) + lines[at][column:]
            case 3:
                lines[at] = lines[at][:column] + lines[at][column + draw(st.integers(1, 3)) :]
            case _:
                lines[at] = lines[at][:column] + " " + draw(WORDS) + " " + lines[at][column:]
    return "".join(lines)


@settings(max_examples=150, deadline=None)
@given(mangled())
@example("{")
@example("? ")
@example("metrics: {a: {<<: {}}}")
def test_a_mangled_file_has_faults_or_is_right(text: str) -> None:
    """No slip of the keyboard ends in anything but faults, each with a line that the file has."""
    faults: list[Fault] = []
    try:
        load(text)
    except Faults as found:
        faults = found.faults or [Fault("", 0, "refused without a fault")]
    last = text.count("\n") + 1
    assert all(1 <= fault.line <= last and fault.message for fault in faults)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(VALUES, st.sampled_from([None, 1, "\t"]))
def test_json_is_read_as_the_standard_library_reads_it(value: Any, indent: int | str | None) -> None:
    """Our own reader, which knows lines and keys written twice, makes the same values."""
    assert bare(json_tree.parse(json.dumps(value, indent=indent))) == value


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \n\t\\u', max_size=24))
@example('{"a": 1, "a": 2}')
@example("-01")
@example('"\\u12"')
def test_our_json_reader_refuses_what_the_standard_library_refuses(text: str) -> None:
    """JSON is what the standard says, no more and no less."""
    # A number that is too long to write out has no value; the check of the file tells it.
    assume(not re.search(r"[eE][-+]?0*[0-9]{3}", text))

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        expected = json.loads(text, parse_float=Decimal, parse_constant=refuse)
    except ValueError:
        with pytest.raises(TreeError):
            json_tree.parse(text)
    else:
        assert bare(json_tree.parse(text)) == expected


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_every_definition_that_the_contract_allows_is_accepted_and_is_the_same_in_yaml(seed: int) -> None:
    """The judge's own generator of valid files finds none that we refuse, and JSON is YAML too."""
    made = definitions(random.Random(seed), 86_400)
    text = json.dumps(made, default=float)
    assert bare(yaml_tree.parse(text)) == bare(json_tree.parse(text))
    assert list(load(text, "metrics.json").metrics) == list(made["metrics"])
