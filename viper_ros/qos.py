"""Quality of service, by what a topic carries."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

MOMENTS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""Frames, steps, actions and rewards in lockstep, where nothing may be lost."""

FACTS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""What stays true: a late joiner gets it too."""

UNDER_WAY = 3
"""Moments of a world in lockstep that may still wait for something: the policy answers one frame before it has the
reward of the frame before, and then sees a third. All are shown again to a node that was away."""
