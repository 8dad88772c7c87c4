"""Recordings: written without loss, found again, repaired, read as episodes, and fed to a learner.

    middleware ──recording/──> bags/ ──episodes/──> rows ──dataset/──> batches
                                │  └──catalogue/──> lists and labels        formats/ <──> LeRobot, HDF5, RLDS
                                └──player.py──> live topics again

    bags/         rosbag2 directories with MCAP storage as files: write, read, check, repair
    recording/    which sources are fresh, what arrived, what was lost, the bag that is open now
    catalogue/    every bag below a folder as one row
    episodes/     observations and episodes, by one rule of alignment for live and offline
    dataset/      chunk transitions and labelled images from a memory-mapped cache
    formats/      other data formats, in and out
    facts.py      what is said of an episode: instruction, outcome, policy, robot
    player.py     what is published when, when a bag is played

No ROS. torch is imported in `dataset/loader.py` only. Imports `messages`, `robots`, `config`, `schema` and `errors`;
may be imported by `policy`, `evaluation` and the shells.
"""
