"""ROS nodes. The only room that imports rclpy and message packages.

A node is a shell: it declares parameters, subscribes, converts, calls one core object, publishes. What all nodes
share stands in `runtime.py`; one file a node, each with `main()`.
"""
