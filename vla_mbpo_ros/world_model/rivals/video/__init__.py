"""A video model as a rival: every frame between now and the end of the chunk, all views at once.

config.py      sizes and settings
net.py         a transformer over the tokens of all frames and views
losses.py      what training minimises
sampling.py    frames out of noise
model.py       the world model of the protocol: the last frame is its answer
checkpoint.py  its folder
"""
