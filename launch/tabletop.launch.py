"""Tabletop, simulated only: ros2 launch vla_mbpo_ros tabletop.launch.py sim:=true

`--show-args` lists the arguments; `vla-mbpo up tabletop --sim` starts the same graph without launch.
"""

from vla_mbpo_ros.bringup.launch_description import launch_description


def generate_launch_description():
    return launch_description("tabletop")
