"""What learned parts share: the flow path, keyed randomness, small heads, trees of tensors.

Lives here: `flow` (the path from data to noise and back), `randomness` (noise that depends on a seed and on nothing
else), `mlp`, `tree` (rows of nested tensors), `pictures` (the one way from pixels to a network), `autoencoder`, `lora`,
`distributed` (shards), `quantised` (weights in 8 or 4 bits), `weights` (safetensors), `peaks` (what a device can do at
most), `need` (a package that is not installed). Everything but `need` imports torch or NumPy at the top, so import a
module of this room inside the function that needs it, unless torch is there anyway. No ROS. Imports `errors` and
`schema`; `policy` and `world_model` may import it.
"""
