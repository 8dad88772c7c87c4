"""World models: what will the cameras see after this chunk, and is the task done then?

    protocol.py    what every world model gives: imagine, judge
    actions.py     actions as integers 0..256 and back
    prompts.py     what the model is told, for dynamics and for the reward
    vocabulary.py  text as tokens: bytes and words of our own, or a tokenizer from a local path
    sequence.py    views, text and actions as one sequence of blocks (interleaved view decoding)
    mask.py        who sees whom in it
    umm/           the unified model: a mixture of transformers, small ones and Bagel's
    rivals/        other models behind the same protocol

Imports `models`, `data`, `robots` and what is below them. Modules with a network import torch: import them when one is
needed. No ROS.
"""
