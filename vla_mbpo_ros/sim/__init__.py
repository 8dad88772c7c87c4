"""MuJoCo twins of the robots: the body, the cell around it, the task in it, and its pictures.

Lives here: `twin.Twin` (steps, joint states, images), `arx_x5/` (the arm, its kinematics and the cell),
`tasks/` (what is to be done and when it is done), `camera` and `render` (pinhole geometry, off-screen
pictures), `lockstep` (who must answer a tick), `benchmark`, and `tabletop/`, a small
world of its own for learning. No ROS and no torch. `policy`, `evaluation`, `nodes`, `cli` and `bringup` may import
it; `data`, `devices` and `control` do not.
"""
