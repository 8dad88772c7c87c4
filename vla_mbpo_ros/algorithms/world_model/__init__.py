"""Training of what imagines.

autoencoder.py  pictures to a few numbers and back: what is imagined in
umm.py          UMM-World: views after a chunk, and a judge; umm_config.py: its settings; umm_lesson.py: a step
arrival.py      where the joints are after a chunk, learnt when the network is done
dream_data.py   what it learns from: a protocol, and journeys of the tabletop; dream_bags.py: recorded episodes
video.py        the video rival; footage.py: what it learns from
"""
