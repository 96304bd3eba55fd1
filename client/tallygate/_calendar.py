"""UTC's calendar, for the fake: the real gate reads the windows that the worker has written."""

from datetime import datetime, timedelta


def window_of(kind: str, at: datetime) -> tuple[datetime, datetime]:
    """The window of UTC's calendar that holds a time; a billing period is a month.

    >>> from datetime import timezone
    >>> [edge.isoformat() for edge in window_of("quarter", datetime(2026, 3, 5, tzinfo=timezone.utc))]
    ['2026-01-01T00:00:00+00:00', '2026-04-01T00:00:00+00:00']
    """
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if kind in {"minute", "hour"}:
        start = (
            at.replace(second=0, microsecond=0) if kind == "minute" else at.replace(minute=0, second=0, microsecond=0)
        )
        return start, start + (timedelta(minutes=1) if kind == "minute" else timedelta(hours=1))
    if kind in {"day", "week"}:
        start = day if kind == "day" else day - timedelta(days=day.weekday())
        return start, start + timedelta(days=1 if kind == "day" else 7)
    months = {"month": 1, "billing_period": 1, "quarter": 3, "year": 12}[kind]
    start = day.replace(month=(day.month - 1) // months * months + 1, day=1)
    month = start.month + months
    return start, start.replace(year=start.year + (month - 1) // 12, month=(month - 1) % 12 + 1)
