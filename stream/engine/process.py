"""The worker process: the event loop, the signals, and an end that comes in time."""

import asyncio
import gc
import logging
import os
import sys
import threading

import faust
import uvloop

from stream.engine import connections
from stream.engine.app import App

log = logging.getLogger(__name__)

#: Seconds from SIGTERM or SIGINT to the end of the process. Kubernetes sends SIGKILL after 30. Ending sooner than all
#: is tidy loses nothing: what is not committed, the next owner reads again.
GRACE = 15.0


#: Allocations, net of deallocations, between two collections of the youngest objects, and so many of those between two
#: of the middle ones. The old ones are never looked through on their own: rows are freed as they go and hold no cycles,
#: and a look through 100,000 of them stopped the worker for 75 to 150 ms, several times a minute.
GC_THRESHOLDS = (1_000, 10, 1_000_000)


#: Seconds for which one thread keeps the interpreter while another waits for it. The consumer's thread has little to do
#: at a time, in many steps; with Python's own 5 ms it waited 5 ms at each for the thread that folds.
SWITCH_S = 0.0005


class _Worker(faust.Worker):
    """Faust's worker, except that a broker that does not answer cannot keep it alive."""

    def _on_sigterm(self) -> None:
        self._end_in_time()
        super()._on_sigterm()

    def _on_sigint(self) -> None:
        self._end_in_time()
        super()._on_sigint()

    def _end_in_time(self) -> None:
        def end() -> None:
            log.warning("not stopped within %.0f s: ending without waiting for Kafka any longer", GRACE)
            os._exit(0)

        timer = threading.Timer(GRACE, end)
        timer.daemon = True
        timer.start()


def run(app: App) -> None:
    """Run the app until SIGTERM or SIGINT; the caller has configured logging.

    Raises:
        SystemExit: always; code 0 after a signal, 1 after a failure.

    """
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(*GC_THRESHOLDS)
    gc.freeze()
    connections.mend()
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = _Worker(app, loop=loop, quiet=True, loglevel=None, redirect_stdouts=False, override_logging=False)
    worker.spinner = None  # it writes to the terminal what belongs to no log
    worker.execute_from_commandline()
