"""pi0 and pi0.5: a vision-language trunk with a key-value cache, and an action expert that reads it.

Lives here: `config` (sizes and presets), `net.PiNet` (the whole, a `VelocityNet`), its parts `vision`, `gemma`,
`masks` and `time`; `keys` and `foreign` (checkpoints as openpi and lerobot write them), `foreign_stats` (their
statistics). Written from the published descriptions; names of weights follow the public checkpoints. No ROS; torch,
but neither transformers nor any model hub.
"""
