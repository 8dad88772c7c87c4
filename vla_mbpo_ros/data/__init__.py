"""Recordings: rosbag2 directories with MCAP storage, written from raw CDR bytes, read, checked and repaired.

    bags/definitions.py   what a message type looks like, from the installed packages
    bags/writer.py        bytes -> bag; survives a crash and a full disk
    bags/reader.py        bag -> bytes and messages, by the definitions inside the bag
    bags/report.py        does a bag have every topic of the contract, at its rate, with no gap?
    facts.py              what is said of an episode: instruction, outcome, policy, robot
    alignment.py          one rule for what belongs together, live and offline

No ROS and no torch. Imports `messages`, `robots`, `schema` and `errors`; may be imported by `policy`,
`evaluation` and the shells.
"""
