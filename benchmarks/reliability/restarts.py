"""What reaches replay while nodes are killed, frozen and restarted, against what really happened.

    .venv/bin/in_ros python -m benchmarks.reliability.restarts [--faults 100] [--seed 0] [--minutes 120]

A training graph in lockstep, a process per node. In random order and at random time steps, each node is killed
(kill -9) and started again, frozen (SIGSTOP, SIGCONT) and restarted (SIGINT). Two witnesses say what happened: the
environment's own log, and a recorder of frames and rewards. Every transition in replay must have happened, once, in
order, with the action that the environment took and the reward that was published for that frame. What is missing must
be within what docs/reliability.md allows:

* an environment that ends loses at most 2 time steps: one on its way to the policy, one on its way to its reward;
* a policy node that is told to stop saves first: it loses at most 2 time steps;
* a policy node that is killed loses at most what is not in replay's files: the time steps of the episode under way;
* a reward node, and any frozen node, loses nothing.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from benchmarks.node_process import ends_of_output
from benchmarks.reliability.replay_check import check_replay
from benchmarks.reliability.training_graph import Fault, TrainingGraph
from benchmarks.verdict import print_verdict


def inflict(graph: TrainingGraph, name: str, kind: str, rng: np.random.Generator) -> Fault:
    """Kill, freeze or restart a node, and wait until the loop goes on. Raises AssertionError where it ends badly."""
    node, first = graph.nodes[name], graph.newest()
    if kind == "freeze":
        node.signal(signal.SIGSTOP)
        graph.recorder.spin(rng.uniform(0.1, 3.0))
        node.signal(signal.SIGCONT)
    else:
        if kind == "kill":
            node.kill()
        elif node.end() != 0:
            raise AssertionError(f"{name} ended with status {node.exit_status} when told to stop")
        graph.recorder.spin(rng.uniform(0.0, 1.0))
        node.start()
    fault = graph.note_fault(name, kind, first)
    graph.recorder.spin(rng.uniform(0.0, 2.0))
    return fault


def plan(faults: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Node and kind of each fault: all pairs in random order, then all again."""
    nodes, kinds = ("sim_node", "reward_node", "policy_node"), ("kill", "freeze", "restart")
    pairs = [(node, kind) for node in nodes for kind in kinds]
    chosen: list[tuple[str, str]] = []
    while len(chosen) < faults:
        chosen += [pairs[i] for i in rng.permutation(len(pairs))]
    return chosen[:faults]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=120.0, help="no more faults after so long")
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    rng = np.random.default_rng(arguments.seed)
    faults = plan(arguments.faults, rng)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    with tempfile.TemporaryDirectory() as folder, TrainingGraph(Path(folder)) as graph:
        nodes = graph.nodes.values()
        try:
            graph.start()
            for number, (node, kind) in enumerate(faults):
                if time.monotonic() > end:
                    break
                fault = inflict(graph, node, kind, rng)
                print(f"{number + 1:3} {kind:7} {node:12} at frame {fault.first}: {fault.seconds:.1f} s", flush=True)
            graph.end()
            wrong = check_replay(graph)
            wrong += [f"{n.name} left a traceback:\n{n.output()}" for n in nodes if "Traceback" in n.output()]
        except (AssertionError, TimeoutError) as error:
            wrong = [str(error), *ends_of_output(nodes)]
    try_shutdown()
    return print_verdict(wrong, "nothing lost beyond what is allowed, nothing doubled, no wrong reward")


if __name__ == "__main__":
    sys.exit(main())
