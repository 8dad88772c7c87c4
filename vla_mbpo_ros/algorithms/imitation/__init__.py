"""A policy from demonstrations, recorded or an expert's.

trunk.py        what a small policy sees and reads, learnt before it acts
bc.py           behaviour cloning with flow matching (SFT); bc_config.py: its settings
chunks.py       what it learns from: a protocol, and demonstrations as arrays; bag_chunks.py: recorded episodes
"""
