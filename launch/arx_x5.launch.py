"""ARX X5, bimanual: ros2 launch vla_mbpo_ros arx_x5.launch.py sim:=true

`--show-args` lists the arguments; `vla-mbpo up arx_x5 --sim` starts the same graph without launch.
"""

from vla_mbpo_ros.bringup.launch_description import launch_description


def generate_launch_description():
    return launch_description("arx_x5")
