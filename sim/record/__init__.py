"""Videos of a behaviour in an environment."""

from sim.record.files import EpisodeRecord, RecordingSettings, list_episodes, returns
from sim.record.recording import record

__all__ = ["EpisodeRecord", "RecordingSettings", "list_episodes", "record", "returns"]
