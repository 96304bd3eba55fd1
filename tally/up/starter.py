"""`tally up --new DIR`: a metrics file to begin with, and the schema by which an editor completes it."""

from importlib import resources
from pathlib import Path

METRICS = "metrics.yaml"
SCHEMA = "definitions.schema.json"  # the name that the first line of starter.yaml gives the editor


def write(folder: Path) -> list[Path]:
    """Write both files into a folder, which is made where it is missing; the paths written.

    Raises FileExistsError with the path where the metrics file is there already: it may be somebody's work. The schema
    is this version's, and replaces an older one. OSError where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics, schema = folder / METRICS, folder / SCHEMA
    with metrics.open("x", encoding="utf-8") as file:
        file.write((resources.files("tally.up") / "starter.yaml").read_text(encoding="utf-8"))
    schema.write_text((resources.files("schemas") / SCHEMA).read_text(encoding="utf-8"), encoding="utf-8")
    return [metrics, schema]
