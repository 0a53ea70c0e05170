"""Videos of a behaviour in an environment."""

from sim.record.files import EpisodeRecord, RecordingSettings, first_episode, list_episodes, returns
from sim.record.recording import record

__all__ = ["EpisodeRecord", "RecordingSettings", "first_episode", "list_episodes", "record", "returns"]
