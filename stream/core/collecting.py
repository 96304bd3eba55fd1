"""Keeps Python's collector of cycles still while a block is folded."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """No search for cycles meanwhile: a block makes thousands of objects that live for milliseconds, and no cycles.

    Counted as new, they would make the collector walk over all states again and again, a quarter of a gauge's time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
