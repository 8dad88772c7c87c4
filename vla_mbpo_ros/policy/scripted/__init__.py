"""An expert for the twin's pick-and-place task, written by hand.

It sees pixels, joints and the instruction, nothing else.

    look.py    head image -> where the red cube and the green pad are
    path.py    smooth motion in joint space, in time
    pick.py    the path that takes the cube to the pad
    expert.py  the policy: looks, plans, follows, looks again
"""
