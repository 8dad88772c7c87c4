"""Whole algorithms, each readable from top to bottom. A folder imports only those below it:

    trial/                     a better policy by PPO: on whole episodes, and on branches in a dream or in the simulator
    grounds/                   who acts where: the tabletop and a small policy for it, folders of bags
    imitation/ | world_model/  a policy from demonstrations | what imagines, and the video rival
    descent/                   what every gradient descent shares: settings, the loop, a step, what is saved

Imports `rl`, `policy`, `world_model`, `sim`, `models` and what is below them; `evaluation` and the shells may import
it. Modules here import torch: import them where training begins. No ROS.
"""
