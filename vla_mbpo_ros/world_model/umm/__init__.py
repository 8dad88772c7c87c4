"""The unified world model: one mixture of transformers imagines views and judges them.

config.py      sizes and settings: tiny, small, bagel_7b
layers.py      a layer of two experts        vit.py, embed.py   what becomes a token
rows.py        a batch of layouts            cache.py           keys and values
net.py         the network over a layout
sampling.py    views out of noise, guided    reward.py          Yes against No
losses.py      what training minimises       assemble.py        words and pictures to rows and images
bagel_keys.py  Bagel's names                 files.py           safetensors; checkpoint.py: a whole world model's folder
model.py       the world model of the protocol
slow.py        sampling without what makes it fast; benchmark.py compares
"""
