"""Bags as files; see the docstring of the room."""

from vla_mbpo_ros.data.bags.metadata import update_custom_data
from vla_mbpo_ros.data.bags.qos import Qos
from vla_mbpo_ros.data.bags.reader import BagMessage, BagReader
from vla_mbpo_ros.data.bags.recover import Recovery, recover
from vla_mbpo_ros.data.bags.report import BagReport, TopicReport, check_bag, check_topics
from vla_mbpo_ros.data.bags.rosbag2_writer import Writer, open_writer
from vla_mbpo_ros.data.bags.writer import BagWriter

__all__ = [
    "BagMessage",
    "BagReader",
    "BagReport",
    "BagWriter",
    "Qos",
    "Recovery",
    "TopicReport",
    "Writer",
    "check_bag",
    "check_topics",
    "open_writer",
    "recover",
    "update_custom_data",
]
