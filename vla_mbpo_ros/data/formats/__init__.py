"""Recordings in and out of other data formats; bags stay the one truth.

    bags ──read_episode──> Episode ──cut──> pieces of a constant rate ──> lerobot/ · hdf5/
    bags <──bag_out────── Episode <─────── columns by name ──────────────  lerobot/ · hdf5/ · rlds/

    cut.py        which rows of an episode make a sequence of a constant rate
    columns.py    whose joints and cameras the columns of a foreign data set are
    bag_out.py    Episode -> bag
    transfer.py   the loop over episodes: a bad one is a named skip, never the end
    staging.py    a data set appears whole or not at all

What is kept and what is lost is said in docs/formats.md. The libraries (av, h5py, pyarrow) come with the extra
`formats` and are imported when they are used.
"""
