"""The reasons for a refusal are the contract's words, each with a sentence for a person."""

from schemas.rejections import BAD_VALUE, REASONS, SENTENCES, Refusal


def test_the_reasons_are_the_contracts() -> None:
    """Programs compare these words, so none may change."""
    assert set(REASONS) == {
        "malformed",
        "missing_field",
        "bad_timestamp",
        "too_old",
        "in_future",
        "too_large",
        "bad_value",
        "internal_error",  # ours beside the contract's: the fold failed, and the stream goes on
    }


def test_a_refusal_always_has_a_sentence() -> None:
    """The detail where there is one, else what the reason means."""
    assert Refusal(BAD_VALUE, "value is a list").sentence == "value is a list"
    assert [Refusal(reason).sentence for reason in REASONS] == list(SENTENCES.values())
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())
