"""Nodes as processes of their own, and verdicts: what the trials in this folder share."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml


class NodeProcess:
    """One node in a process of its own, as `ros2 launch` would start it. It ends with this process."""

    def __init__(
        self,
        node: str,
        folder: Path,
        parameters: dict[str, Any],
        *,
        namespace: str = "/",
        remappings: Sequence[str] = (),
        before: str = "",
        prefix: Sequence[str] = (),
    ) -> None:
        """`node`: its module in viper_ros. `folder`: for its log and parameters. `before`: Python to run first.
        `prefix`: a command that runs the node's command."""
        self.name = f"{namespace.rstrip('/')}/{node}"
        file_name = self.name.strip("/").replace("/", "_")
        self.log = folder / f"{file_name}.log"
        settings = folder / f"{file_name}.yaml"
        settings.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
        program = f"import sys\n{before}\nfrom viper_ros.{node} import main\nsys.exit(main())"
        rules = [word for rule in (f"__ns:={namespace}", *remappings) for word in ("-r", rule)]
        options = ["--ros-args", *rules, *(["--params-file", str(settings)] if parameters else [])]
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
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        assert self._process
        return self._process.poll()

    def signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """As kill -9."""
        self.signal(signal.SIGKILL)
        self.wait()

    def end(self) -> int:
        """As Ctrl-C; returns the exit status. Killed where it does not end."""
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

    def said(self) -> str:
        """All that it printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def memory(self) -> float:
        """Resident memory in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise ProcessLookupError(f"{self.name} is gone")


def verdict(wrong: Sequence[str], well: str) -> int:
    """Say what a trial found wrong, or, where that is nothing, what went `well`; returns the exit status."""
    for line in wrong:
        print(f"WRONG: {line}")
    if not wrong:
        print(well)
    return 1 if wrong else 0
