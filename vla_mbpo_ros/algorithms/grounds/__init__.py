"""Who acts where, made ready for a training.

tabletop.py     the tabletop as a ground for rollouts, and the settings of a small policy for it
bag_set.py      folders of bags opened, split, with statistics
"""
