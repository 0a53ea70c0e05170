"""Quality of service, by what a topic carries."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

UNDER_WAY = 3
"""Time steps of an environment in lockstep that may still wait for something: the policy answers one frame before it
has the reward of the frame before, and then sees a third. All are shown again to a node that was away."""

RELIABLE = QoSProfile(depth=4 * UNDER_WAY, reliability=ReliabilityPolicy.RELIABLE)
"""Frames, steps, actions and rewards in lockstep, where nothing may be lost.

Depth: the queue of a node that is away runs over with time steps that are shown again, 1, 2 or 3 at a time. Those that
it keeps must begin with the oldest of a round, as joining goes by stamps that grow."""

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""What stays true: a late joiner gets it too."""

_SAFETY_DEPTH = 100
"""Messages of safety inputs that may wait, of all publishers together: none may push out another's."""

SAFETY = (
    QoSProfile(depth=_SAFETY_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT),
    QoSProfile(depth=_SAFETY_DEPTH, reliability=ReliabilityPolicy.RELIABLE),
)
"""Subscriptions that together hear every publisher, and lose nothing of a reliable one."""

LATCHED_SAFETY = QoSProfile(
    depth=_SAFETY_DEPTH, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
"""Beside SAFETY: hears what was latched before the subscription."""
