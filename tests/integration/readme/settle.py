"""`python settle.py REDIS APP`: wait until Redis is as fresh as this moment, instead of sleeping for a while and hoping."""

import sys
import time

from tallygate import layout
from tallygate.urls import connect

WITHIN_S = 60.0


def main(url: str, app: str) -> None:
    """Everything that Kafka had at the call is in Redis on return; fails after a minute."""
    client = connect(url, timeout_s=5.0)
    seconds, micros = client.time()
    now_us, until = seconds * 1_000_000 + micros, time.monotonic() + WITHIN_S
    count = int(client.hget(layout.app_key(app), layout.APP_PARTITIONS))
    for number in range(count):
        while True:
            status = layout.parse_status(client.hgetall(layout.Keys(app, number).status))
            if status is not None and status.complete and (status.fresh_us or 0) >= now_us:
                break
            if time.monotonic() > until:
                sys.exit(f"partition {number} was not fresh within {WITHIN_S:.0f} s")
            time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
