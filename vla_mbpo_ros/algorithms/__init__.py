"""Whole algorithms, each readable from top to bottom.

    trial/        a better policy by PPO: on whole episodes, and on branches in a dream or in the simulator
    grounds/      where experience comes from: the tabletop, folders of bags
    imitation/    the first policy, from demonstrations
    world_model/  what imagines: autoencoder, UMM-World, its states, the video rival
    descent/      what every gradient descent shares: the loop, a step, what is saved

From top to bottom: a folder imports those below it, and imitation and world_model do not see each other. Imports `rl`,
`policy`, `world_model`, `sim`, `models` and what is below them; `evaluation` and the shells may import it. Modules here
import torch: import them where training begins. No ROS.
"""
