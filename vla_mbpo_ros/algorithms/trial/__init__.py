"""A better policy, by trial: from what succeeds and what fails.

online_ppo.py     PPO on whole episodes in the true simulator
branched_ppo.py   PPO on short branches, in a dream or in the simulator
branch_starts.py  moments to branch from, and a value that knows how those episodes went on
rounds.py         what both share: settings, rounds, and what a learner remembers
"""
