"""Apache Kafka's jars, fetched once with Maven into the user's cache."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

from tally.servers import ServerError

POM = Path(__file__).with_name("pom.xml")
NEEDED = "a real Kafka needs Java 17 and Maven (Debian: default-jdk-headless, maven), or a broker in TALLY_TEST_KAFKA"


def cache() -> Path:
    """Where the jars lie: a directory for each version of the pom, under the user's cache."""
    version = ET.parse(POM).getroot().findtext("{*}version")
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "tallystream" / f"kafka-{version}"


def jars() -> Path:
    """Answer the directory of the jars; fetch them (about 45 MB) where they are missing. Safe among processes."""
    if not shutil.which("java"):
        raise ServerError(NEEDED)
    directory = cache()
    directory.parent.mkdir(parents=True, exist_ok=True)
    complete = directory / ".complete"
    with (directory.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            if not shutil.which("mvn"):
                raise ServerError(NEEDED)
            fetch = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
            subprocess.run([*fetch, f"-DoutputDirectory={directory}"], check=True, stdin=subprocess.DEVNULL)
            complete.touch()
    return directory
