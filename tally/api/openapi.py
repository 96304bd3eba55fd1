"""The description that is served is the one that is checked in."""

from functools import cache
from importlib.resources import files
from typing import Any

from schemas.reading import yaml_tree
from schemas.reading.nodes import bare


@cache
def document() -> Any:
    """schemas/openapi.yaml."""
    return bare(yaml_tree.parse((files("schemas") / "openapi.yaml").read_text(encoding="utf-8")))
