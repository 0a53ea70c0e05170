"""A command that counts, for a job: what it has done it keeps, and goes on from it.

counting.py FILE NUMBER [SECONDS]: count in FILE up to NUMBER, SECONDS each. SIGINT ends it with status 130 after its
number is saved. FILE.running is there while it runs.
counting.py say TEXT STATUS: say it, and end so.
"""

import signal
import sys
import time
from pathlib import Path


def count(file: Path, number: int, seconds: float) -> int:
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGINT, stop)
    running = file.with_suffix(".running")
    running.touch()
    while (done := int(file.read_text()) if file.exists() else 0) < number and not stopped:
        time.sleep(seconds)
        part = file.with_suffix(".part")
        part.write_text(str(done + 1))
        part.rename(file)
    running.unlink()
    return 130 if stopped else 0


if __name__ == "__main__":
    if sys.argv[1] == "say":
        print(sys.argv[2])
        sys.exit(int(sys.argv[3]))
    sys.exit(count(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0))
