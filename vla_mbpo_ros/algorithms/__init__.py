"""Whole algorithms, each readable from top to bottom.

    trunk.py        what a small policy sees and reads, before it acts
    bc.py           behaviour cloning with flow matching (SFT); bc_config.py: its settings
    online_ppo.py   PPO on whole episodes in the true simulator
    branched_ppo.py PPO on short branches, in a dream or in the simulator
    trial.py        what both share: settings, rounds, what a learner remembers
    branch_starts.py  moments to branch from, and a value that knows how those episodes went on
    autoencoder.py  the latent autoencoder of a world model
    world_model.py  UMM-World: views after a chunk, and a judge; world_model_config.py: its settings
    dream_data.py   what it learns from: a protocol, and journeys of the tabletop; dream_bags.py: recorded episodes
    video.py        the video model that a world model is compared with; footage.py: what it learns from
    chunks.py       what bc learns from: a protocol, and demonstrations as arrays
    bag_set.py      folders of bags opened, split, with statistics; bag_chunks.py: their rows for bc
    tabletop.py     the tabletop as a ground for rollouts, and the settings of a small policy for it
    descent.py      what every descent shares: the loop, a step, the moving average, what is saved
    log.py          one CSV row a step or iteration, TensorBoard if it is installed
    saved.py        the state of a training on disk, to go on bit for bit

Imports `rl`, `policy`, `world_model`, `sim`, `models` and what is below them; `evaluation` and the shells may import
it. Modules here import torch: import them where training begins. No ROS.
"""
