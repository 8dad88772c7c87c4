"""World models without a network: what a learnt one must beat, and what stands in a dream's place.

copy_last.py    the next views are the last ones; it does not judge
oracle.py       the simulator itself, from scenes that carry a snapshot of it
"""
