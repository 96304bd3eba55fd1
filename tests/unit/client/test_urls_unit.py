"""Redis URLs: what each kind means, and which are refused."""

from typing import Any

import pytest
from tallygate import urls


@pytest.mark.parametrize(
    "url, kind, nodes, service, options",
    [
        ("redis://h", "", (("h", 6379),), "", {}),
        (
            "redis://u:p%40w@h:1/2?client_name=x",
            "",
            (("h", 1),),
            "",
            {"username": "u", "password": "p@w", "db": 2, "client_name": "x"},
        ),
        ("rediss://h:1/0", "", (("h", 1),), "", {"db": 0, "ssl": True}),
        ("redis+cluster://a:1,b:2", "cluster", (("a", 1), ("b", 2)), "", {}),
        ("rediss+cluster://:pw@a:1", "cluster", (("a", 1),), "", {"password": "pw", "ssl": True}),
        ("redis+sentinel://a,b:2/totals/3", "sentinel", (("a", 26379), ("b", 2)), "totals", {"db": 3}),
        ("redis://[::1]:7", "", (("::1", 7),), "", {}),
    ],
)
def test_what_a_url_says(url: str, kind: str, nodes: Any, service: str, options: dict[str, Any]) -> None:
    """Hosts, ports, the Sentinels' service, login, database and options are read as written."""
    address = urls.parse(url)
    assert (address.kind, address.nodes, address.service, address.options) == (kind, nodes, service, options)


def test_the_sentinels_own_login() -> None:
    """The Sentinels may ask for another login than the servers."""
    address = urls.parse("rediss+sentinel://u:p@a/totals?sentinel_username=su&sentinel_password=sp")
    assert address.options == {"username": "u", "password": "p", "ssl": True}
    assert address.sentinel_options == {"username": "su", "password": "sp", "ssl": True}


@pytest.mark.parametrize(
    "url, says",
    [
        ("http://h", "begins with"),
        ("h:6379", "begins with"),
        ("redis://", "host"),
        ("redis://a,b", "cluster"),
        ("redis+sentinel://a", "service"),
        ("redis+cluster://a/1", "database 0"),
        ("redis://h:port", "[Pp]ort"),
    ],
)
def test_wrong_urls(url: str, says: str) -> None:
    """A URL that cannot be meant is refused with a sentence."""
    with pytest.raises(ValueError, match=says):
        urls.parse(url)
