"""What came of it: episodes read back from bags, summarised, and drawn. Reads `data/`; knows no ROS and no node.

episode.py          one bag as arrays and a few pictures
contact_sheet.py    what the cameras saw and how the joints moved, on one page (PNG)
episode_report.py   an episode judged: its bag against the contract, its numbers, its picture
dreams.py           what was imagined for people, and its errors once reality is there
courses.py          what was executed and seen after an observation: that reality
dream_view.py       a dream as pictures with the mark in their pixels
tabletop_eval.py    success of a policy on the tabletop; instruction_check.py: does it listen?
world_model/        how good a world model's dreams are
images.py           errors of pictures; positions.py: where things are in them; estimates.py: intervals over episodes
"""
