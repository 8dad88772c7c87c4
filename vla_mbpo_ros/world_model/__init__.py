"""World models: what will the cameras see after this chunk, and is the task done then?

    protocol.py    what every world model gives: imagine, judge
    actions.py     actions as integers 0..256 and back
    prompts.py     what the model is told, for dynamics and for the reward
    vocabulary.py  text as tokens: bytes and words of our own; qwen_vocabulary.py: a tokenizer from a local path
    sequence.py    blocks of views, text and actions, and their places in one sequence
    builders.py    the sequences of dynamics and reward (interleaved view decoding), whole or without parts
    mask.py        who sees whom in it; mask_picture.py draws that
    latents.py     a data set's views as latents, kept on disk
    queue.py       requests of several clients, put together for one model; requests.py: one of them
    commanded.py   the state after a chunk, by its commands
    folder.py      what the folder of every learnt model says of its robot
    factory.py     world models by name
    umm/           the unified model: a mixture of transformers, small ones and Bagel's
    rivals/        other models behind the same protocol

Imports `models`, `data`, `robots`, `sim` (the simulator as a rival) and what is below them. Modules with a network
import torch: import them when one is needed. No ROS.
"""
