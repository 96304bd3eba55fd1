"""Rules of `customers`: an alias means one customer, and is nobody's own id."""

from typing import Any

from schemas.definitions import Customer
from schemas.reading.nodes import shorten
from schemas.reading.records import Record
from schemas.reading.shapes import Report


def read_customers(read: dict[str, Any], report: Report) -> tuple[dict[str, Customer], dict[str, str]]:
    """The customers by canonical id, and the canonical id of each alias."""
    customers: dict[str, Customer] = {}
    aliases: dict[str, str] = {}
    for name, record in read.items():
        if not isinstance(record, Record):
            continue
        own = record.get("aliases", ())
        for index, alias in enumerate(own):
            if alias == name:
                record.fault(report, "aliases", "is the customer's own id: leave it out", index)
            elif alias in read:
                message = f"is the id of another customer, {shorten(alias)}: an alias must be nobody's id"
                record.fault(report, "aliases", message, index)
            elif alias in aliases:
                message = f"is an alias of {shorten(aliases[alias])} already: keep it at one customer"
                record.fault(report, "aliases", message, index)
            else:
                aliases[alias] = name
        customers[name] = Customer(own, record.get("timezone"), record.get("billing_anchor"))
    return customers, aliases
