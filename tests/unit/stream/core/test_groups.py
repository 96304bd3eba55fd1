"""The groups of a total."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from stream.core.groups import group_key, group_key_of, group_name, part, text_of, values_of
from stream.core.numbers import number

SCALARS = (
    st.text(st.characters(codec="utf-8"), max_size=20)
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3)
)


@pytest.mark.parametrize(
    "value, json",
    [
        ("m1", '"m1"'),
        ("", '""'),
        ('a"\\\n\u00e9', '"a\\"\\\\\\n\u00e9"'),
        (1, "1"),
        (Decimal("1.0"), "1"),
        (Decimal("1.50"), "1.5"),
        (Decimal("1E+2"), "100"),
        (Decimal("-0.0"), "0"),
        ("1", '"1"'),
        (True, "true"),
        (False, "false"),
        ("x" * 256, '"' + "x" * 256 + '"'),
        ("\u00e9" * 128, '"' + "\u00e9" * 128 + '"'),
        ("x" * 257, None),
        ("\u00e9" * 129, None),
        (number("1e400"), None),
        (number("1e99999999999999999999"), None),
        (number("1" * 5000), None),
        (None, None),
        ([1], None),
        ({"a": 1}, None),
    ],
)
def test_the_value_of_a_group(value: Any, json: str | None) -> None:
    """Text to 256 bytes, truth values and numbers in plain form are group values; all else leaves the overall total only."""
    assert part(value) == json


def test_one_and_one_point_nought_are_one_group_and_text_and_true_are_others() -> None:
    """1 and 1.0 are one key; "1" and true are two more; in one property as in several."""
    assert group_key([1]) == group_key([Decimal("1.0")])
    assert len({group_key([each]) for each in (1, Decimal("1.00"), "1", True)}) == 3
    assert len({group_key(["a", each]) for each in (1, Decimal("1.00"), "1", True)}) == 3
    assert group_key(["a", None]) is None


def test_a_group_is_compact_json_with_sorted_keys() -> None:
    """Keys in order of their code points, values in shortest form, characters as they are."""
    key = group_key(["m\u00f6", Decimal("2.50"), False])
    assert group_name(["b.c", "a", "Z"], key) == '{"Z":false,"a":2.5,"b.c":"m\u00f6"}'
    assert text_of({"tier": 2, "model": "m1"}) == '{"model":"m1","tier":2}'
    assert text_of({}) == "{}"


def test_a_group_that_no_event_can_have_is_an_error() -> None:
    """Naming a group by a value that is too long is refused."""
    with pytest.raises(ValueError, match="256"):
        text_of({"model": "x" * 257})


@given(st.lists(SCALARS, min_size=1, max_size=3))
def test_a_group_s_name_gives_back_its_key(values: list[Any]) -> None:
    """The key is read back from the JSON, and the JSON's values equal the event's."""
    properties = ["b", "a", "c"][: len(values)]
    key = group_key(values)
    name = group_name(properties, key)
    assert group_key_of(properties, name) == key
    assert group_key_of(properties, name.encode()) == key
    assert values_of(name) == dict(zip(properties, values, strict=True))
    assert text_of(dict(zip(properties, values, strict=True))) == name
