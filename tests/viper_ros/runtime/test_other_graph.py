from xml.etree import ElementTree

from viper_lab.config import config_directory
from viper_ros.runtime.other_graph import LISTEN_SECONDS


def test_a_running_graph_announces_itself_more_than_once_while_another_listens() -> None:
    profile = ElementTree.parse(config_directory() / "fastdds.xml")
    seconds, nanoseconds = (
        int(profile.findtext(f".//{{*}}leaseAnnouncement/{{*}}{unit}")) for unit in ("sec", "nanosec")
    )
    assert 2 * (seconds + nanoseconds / 1e9) < LISTEN_SECONDS
