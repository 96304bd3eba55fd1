"""Why an event, or its value for one metric, is not accepted.

The reasons are part of the contract: they stand in the header `tally-reason` of each entry
on `usage-rejected` and in the output of `tally simulate`.
"""

import msgspec

MALFORMED = "malformed"
MISSING_FIELD = "missing_field"
BAD_TIMESTAMP = "bad_timestamp"
TOO_OLD = "too_old"
IN_FUTURE = "in_future"
TOO_LARGE = "too_large"
BAD_VALUE = "bad_value"
INTERNAL_ERROR = "internal_error"

SENTENCES = {
    MALFORMED: "The message is not one JSON object of a known dialect.",
    MISSING_FIELD: "A field that every event needs is missing.",
    BAD_TIMESTAMP: "The timestamp is neither RFC 3339 with an offset nor seconds or "
    "milliseconds since the epoch, between the years 1 and 9999.",
    TOO_OLD: "The event is older than the greatest age that is accepted.",
    IN_FUTURE: "The event lies further ahead of its Kafka timestamp than is accepted.",
    TOO_LARGE: "The message is larger than 1 MiB.",
    BAD_VALUE: "A metric cannot use the value of its property.",
    INTERNAL_ERROR: "Tallystream failed on this event, which is a bug: please report it with the event.",
}
"""Each reason's sentence for a person; a refusal's detail says more where more is known."""

REASONS = tuple(SENTENCES)

KIND_REJECTED = "rejected"
KIND_PARTIAL = "partial"

HEADER_KIND = "tally-kind"
HEADER_REASON = "tally-reason"
HEADER_DETAIL = "tally-detail"
HEADER_METRICS = "tally-metrics"
HEADER_TOPIC = "tally-topic"
HEADER_PARTITION = "tally-partition"
HEADER_OFFSET = "tally-offset"

MOST_BYTES = 1 << 20
"""A message of more bytes than this is `too_large`."""
KEPT_BYTES = 1 << 16
"""How much of a message that is too large its entry on `usage-rejected` keeps."""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """That an event is not accepted: one of `REASONS`, and a sentence for a person."""

    reason: str
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The detail, or where there is none what the reason means."""
        return self.detail or SENTENCES[self.reason]
