"""A node of viper_ros in a process of its own, for benchmarks that measure or attack it from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml


class NodeProcess:
    """One node in a process of its own, as `ros2 launch` would start it. It ends when this process ends."""

    def __init__(
        self,
        node: str,
        folder: Path,
        parameters: dict[str, Any],
        *,
        namespace: str = "/",
        before: str = "",
        prefix: Sequence[str] = (),
    ) -> None:
        """node: its module in viper_ros.nodes. folder: for its log and its parameters. before: Python code that the
        process runs first, to replace a part of the node. prefix: a command that runs the node's command, in another
        network namespace for instance."""
        self.name = f"{namespace.rstrip('/')}/{node}"
        file_name = self.name.strip("/").replace("/", "_")
        self.log = folder / f"{file_name}.log"
        settings = folder / f"{file_name}.yaml"
        settings.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
        program = f"import sys\n{before}\nfrom viper_ros.nodes.{node} import main\nsys.exit(main())"
        options = ["--ros-args", "-r", f"__ns:={namespace}", *(["--params-file", str(settings)] if parameters else [])]
        self._command = [*prefix, sys.executable, "-c", program, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        assert self._process
        return self._process.poll()

    def signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.signal(signal.SIGKILL)
        self.wait()

    def end(self) -> int:
        """End it as Ctrl-C does; it is killed where it does not end in two minutes. Returns the exit status."""
        if self.running:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGINT)
            try:
                return self.wait(120)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.wait()

    def wait(self, seconds: float | None = None) -> int:
        assert self._process
        return self._process.wait(seconds)

    def output(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def memory(self) -> float:
        """Its resident memory in MiB. Raises ProcessLookupError where it has ended."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise ProcessLookupError(f"{self.name} has ended")


def ends_of_output(nodes: Iterable[NodeProcess]) -> list[str]:
    """The last of what each node has printed, to tell with a failure."""
    return [f"{node.name}:\n{node.output()[-1500:]}" for node in nodes]
