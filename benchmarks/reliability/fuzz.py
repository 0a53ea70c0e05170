"""Hostile messages to every topic and service of every node: whether any ends, fails, grows or moves the arm.

    .venv/bin/in_ros python -m benchmarks.reliability.fuzz [--messages 100000] [--seed 0]

Each node is a process of its own, over DDS; what it subscribes to and offers is asked of the graph, so that none is
forgotten. Messages are valid ones with some fields made hostile, or hostile in all fields, or broken bytes (see
hostile_messages). Afterwards every process must run without a traceback and still do its work, and the arm must not
have moved. DDS keeps room for as many messages as the history of a topic or service has, each as large as the largest
so far: so memory is judged by sending the last fifth of all messages a second time, which must take no more of it.

Not sent are requests that rightly stop a node: transitions, and the parameter use_sim_time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.srv import GetState
from rclpy._rclpy_pybind11 import RCLError
from rclpy.client import Client
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import try_shutdown

from benchmarks.reliability.hostile_messages import break_bytes, fill, interface, make_harmless
from benchmarks.reliability.still_working import find_broken
from benchmarks.reliability.victims import Attacker, Victim, make_victims, valid_message
from benchmarks.verdict import print_verdict
from viper_ros.runtime.stamps import to_stamp

AT_ONCE = 8
"""Messages sent before the node is waited for: fewer than a subscription keeps."""
TOPICS_SHARE = 0.7
"""Share of the messages that go to topics; the rest are requests to services."""
GROWTH_MIB = 40.0
"""That a process may grow while the same messages come again: what an allocator keeps of large ones."""
ROUNDS = 10
REPEATED_ROUNDS = (8, 9)
"""They come a second time."""


class Attack:
    def __init__(self, attacker: Attacker, victims: list[Victim], rng: np.random.Generator) -> None:
        self._attacker, self._victims, self._rng = attacker, victims, rng

    def start_victims(self) -> None:
        """Raises TimeoutError where a node does not start."""
        for victim in self._victims:
            victim.process.start()
        for victim in self._victims:
            self._wait_until_active(victim)
        if not self._attacker.spin_until(
            lambda: "steps" in self._attacker.diagnoses["/learner/policy_node"].values, 60
        ):
            raise TimeoutError("the policy node got no description")

    def _wait_until_active(self, victim: Victim) -> None:
        name, process, diagnoses = victim.full_name, victim.process, self._attacker.diagnoses
        self._attacker.spin_until(lambda: name in diagnoses or not process.running, 300)
        if name not in diagnoses:
            raise TimeoutError(f"{name} did not start:\n{process.output()}")
        get_state: Client = self._attacker.create_client(GetState, f"{name}/get_state")
        labels: list[str] = []

        def note(future: Future[GetState.Response]) -> None:
            response = future.result()
            assert response
            labels.append(response.current_state.label)

        def ask() -> None:
            get_state.call_async(GetState.Request()).add_done_callback(note)

        if not self._attacker.spin_until(lambda: "active" in labels, 300, ask):
            raise TimeoutError(f"{name} did not become active:\n{process.output()}")

    def _publishers(self) -> dict[tuple[Victim, str], Publisher]:
        """A publisher for each topic that a node subscribes to, as the graph tells."""
        # Transient local reaches every subscription, those to descriptions too.
        qos = QoSProfile(depth=2 * AT_ONCE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        return {
            (victim, name): self._attacker.create_publisher(interface(kinds[0], "msg"), name, qos)
            for victim in self._victims
            for name, kinds in self._attacker.get_subscriber_names_and_types_by_node(victim.node_name, victim.namespace)
        }

    def _clients(self) -> dict[tuple[Victim, str], Client]:
        """A client for each service that a node offers, as the graph tells."""
        return {
            (victim, name): self._attacker.create_client(interface(kinds[0], "srv"), name)
            for victim in self._victims
            for name, kinds in self._attacker.get_service_names_and_types_by_node(victim.node_name, victim.namespace)
        }

    def run(self, messages: int) -> None:
        """Send about so many messages and requests, in rounds, so that a node's state is attacked from all sides."""
        publishers, clients = self._publishers(), self._clients()
        self._attacker.spin(2.0)
        print(f"{len(publishers)} topics and {len(clients)} services of {len(self._victims)} nodes", flush=True)
        each_topic = -(-int(messages * TOPICS_SHARE) // (len(publishers) * ROUNDS))
        each_service = -(-int(messages * (1 - TOPICS_SHARE)) // (len(clients) * ROUNDS))
        state_to_repeat = None
        for number in (*range(ROUNDS), *REPEATED_ROUNDS):
            if number == REPEATED_ROUNDS[0]:
                if state_to_repeat:
                    self._rng.bit_generator.state = state_to_repeat
                state_to_repeat = self._rng.bit_generator.state
            for (victim, topic), publisher in publishers.items():
                self._publish(victim, topic, publisher, each_topic)
            for (victim, service), client in clients.items():
                self._call(victim, service, client, each_service)
            if number == ROUNDS - 1:
                self._attacker.spin(1.0)
                for victim in self._victims:
                    if victim.process.running:
                        victim.memory.append(victim.process.memory())
            print(f"round {number + 1} of {ROUNDS}: {count_sent(self._victims)} sent", flush=True)

    def _publish(self, victim: Victim, topic: str, publisher: Publisher, count: int) -> None:
        for begin in range(0, count, AT_ONCE):
            if not victim.process.running:
                return
            expected = victim.handled
            for _ in range(min(AT_ONCE, count - begin)):
                message = self._message(topic, publisher.msg_type)  # type: ignore[arg-type, unused-ignore]  # Jazzy's types
                if self._rng.random() < 0.1:
                    with suppress(RCLError):  # DDS itself refuses to send some broken bytes.
                        publisher.publish(break_bytes(message, self._rng))
                else:
                    publisher.publish(message)
                    expected += 1
                victim.sent[topic] += 1
            # Until all are handled, or none has been for half a second.
            handled, since = victim.handled, time.monotonic()
            while victim.handled < expected and time.monotonic() - since < 0.5:
                time.sleep(0.0005)
                if victim.handled != handled:
                    handled, since = victim.handled, time.monotonic()

    def _call(self, victim: Victim, service: str, client: Client, count: int) -> None:
        for begin in range(0, count, AT_ONCE):
            if not victim.process.running or not client.service_is_ready():
                return
            futures = []
            for _ in range(min(AT_ONCE, count - begin)):
                request = client.srv_type.Request()  # type: ignore[attr-defined, unused-ignore]  # Jazzy's types
                fill(request, self._rng, float(self._rng.choice([0.5, 1.0])))
                make_harmless(request)
                futures.append(client.call_async(request))
                victim.sent[service] += 1
            end = time.monotonic() + 2.0
            while not all(future.done() for future in futures) and time.monotonic() < end:
                self._attacker.wait_for(futures[-1], 0.05)
            for future in futures:
                client.remove_pending_request(future)

    def _message(self, topic: str, kind: type) -> Any:
        # Stamps of one tenth of a second are alike, so that now and then a frame and a step are joined.
        stamp = to_stamp(self._attacker.get_clock().now().nanoseconds // 10**8 * 10**8)
        message = valid_message(topic, kind, stamp, self._rng)
        choice = self._rng.random()
        if choice < 0.7:
            fill(message, self._rng, 0.2)
        elif choice < 0.95:
            fill(message, self._rng)
        return message


def count_sent(victims: list[Victim]) -> int:
    return sum(victim.sent.total() for victim in victims)


def report(victim: Victim, attacker: Attacker) -> list[str]:
    """Print what a node went through; returns what is wrong with it, in lines."""
    process, diagnosis = victim.process, attacker.diagnoses.get(victim.full_name)
    refused = diagnosis.values.get("messages_refused", "0") if diagnosis else "0"
    memory = " → ".join(f"{mebibytes:.0f}" for mebibytes in victim.memory)
    counts = f"{victim.sent.total():6} sent, {victim.handled:6} handled, {refused:>6} refused"
    print(f"{process.name:30} {counts}; {memory} MiB")
    wrong = []
    if not process.running:
        wrong.append(f"{process.name} ended with status {process.exit_status}")
    if "Traceback" in process.output():
        wrong.append(f"{process.name} left a traceback")
    if len(victim.memory) == 2 and victim.memory[1] > victim.memory[0] + GROWTH_MIB:
        before, after = victim.memory
        wrong.append(f"{process.name} grew from {before:.0f} to {after:.0f} MiB by messages that had come before")
    return wrong + ([line[:300] for line in process.output().splitlines()[-30:]] if wrong else [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        attacker, victims = Attacker(), make_victims(Path(folder))
        attack = Attack(attacker, victims, np.random.default_rng(arguments.seed))
        try:
            attack.start_victims()
            attack.run(arguments.messages)
            speed = attacker.arm_speed  # Before the arm is asked to show that it works.
            wrong += [f"{name} does not work any more" for name in find_broken(attacker, victims)]
            wrong += [f"the arm moved with {speed} rad/s"] if speed > 1e-6 else []
            attacker.spin(1.5)
            for victim in victims:
                wrong += report(victim, attacker)
        except TimeoutError as error:
            wrong.append(str(error))
        finally:
            statuses = {victim.process.name: victim.process.end() for victim in victims}
        wrong += [f"{name} ended with status {status} when told to stop" for name, status in statuses.items() if status]
    try_shutdown()
    print(f"{count_sent(victims)} messages and requests sent; highest speed commanded: {attacker.arm_speed} rad/s")
    return print_verdict(
        wrong, "no node ended, none left a traceback, memory bounded, all still work, the arm stood still"
    )


if __name__ == "__main__":
    sys.exit(main())
