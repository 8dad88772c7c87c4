"""Reinforcement learning on action chunks, as plain functions of tensors: advantages and the PPO update.

    arrays.py   what many worlds show at once, as a policy's inputs
    rollout.py  episodes played on any ground, chunk by chunk
    branches.py short branches from kept moments, as such a ground
    samples.py  episodes as rows to learn from
    gae.py      how much better than expected each chunk was
    ppo.py      the losses of one minibatch, and what to watch
    shares.py   which tasks get the next episodes
    update.py   several passes over the samples, stopped before the policy has moved too far

One decision is one chunk of K steps. Nothing here knows a simulator, a kind of world model or a kind of policy:
the same functions serve real episodes, branches in a dream and branches in the true simulator. May import `policy`,
the protocol of `world_model`, `schema` and `errors`; `algorithms` and the shells import it.
"""
