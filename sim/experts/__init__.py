"""Behaviours that record themselves, by name."""

from sim.experts.behaviours import BEHAVIOURS, Behaviour, make_behaviour

__all__ = ["BEHAVIOURS", "Behaviour", "make_behaviour"]
