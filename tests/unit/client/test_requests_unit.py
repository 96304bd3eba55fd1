"""What is asked of a gate goes to Redis exactly as it was written."""

from tallygate.requests import Line, asked

LONG = "123456789012345678901234567890.123456"


def test_a_line_costs_what_one_request_costs() -> None:
    """All digits of a cost are kept, whether it stands alone or in lines."""
    assert asked("m", LONG, None, None).lines == (("m", "", LONG),)
    assert asked(None, 1, None, [Line("m", LONG)]).lines == (("m", "", LONG),)


def test_lines_of_one_metric_and_group_are_added_exactly() -> None:
    """The sum has every digit of its parts, the smallest too."""
    lines = [Line("m", LONG), Line("m", "1e-30"), Line("m", 1, {"model": "m1"})]
    assert asked(None, 1, None, lines).lines == (
        ("m", "", "123456789012345678901234567890.123456000000000000000000000001"),
        ("m", '{"model":"m1"}', "1"),
    )
