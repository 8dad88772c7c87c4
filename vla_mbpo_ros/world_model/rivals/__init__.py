"""Other models behind the same protocol: what a learnt one must beat, and what stands in a dream's place.

copy_last.py    the next views are the last ones; it does not judge
oracle.py       the simulator itself, from scenes that carry a snapshot of it
video/          every frame in between is imagined, all views at once; it does not judge
vlm_judge.py    a vision-language model that judges pictures; judged.py gives it to any model that imagines
"""
