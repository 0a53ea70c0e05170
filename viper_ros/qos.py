"""Quality of service, by what a topic carries."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

MOMENTS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""Frames, steps, actions and rewards in lockstep, where nothing may be lost."""

FACTS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""What stays true: a late joiner gets it too."""
