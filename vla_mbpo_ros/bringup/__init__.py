"""The node graph of a robot as data, and the two ways to start it: by ROS launch, or as plain processes.

    Options ──graph_for──> GraphSpec ──┬──> launch_description   (ros2 launch)
                                       └──> Processes            (vla-mbpo up)

Imports the rooms below `nodes/` only; never a node. `rclpy` appears lazily, in `observer.py`, and launch in
`launch_description.py`. Commands, tests and launch files may import this room.
"""
