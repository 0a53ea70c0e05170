"""What is measured, by folder; what each benchmark printed is in `results/`.

* `speed`: rewards, agents, rendering, reading videos, training, latency and load.
* `reliability`: nodes that are killed, frozen, cut off, lied to and kept running.
* `experts`: how well the experts of each simulator do their tasks.
* `rewards`: how good rewards of several models are as judges.

Each is run from the repository's root, `.venv/bin/in_ros python -m benchmarks.speed.latency` for instance, and tells of
its options by `--help`.
"""
