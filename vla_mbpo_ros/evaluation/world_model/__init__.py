"""How good a world model's dreams are, on episodes of the tabletop that it has never seen.

    held_out.py        journeys, forks and weather: what every model is asked, kept in a folder
    dreaming.py        chunks dreamt one after the other from a real first picture, or one from each
    fidelity.py        how near the pictures come      places.py    where gripper and things are in them
    judging.py         what it says of success, on true pictures and on its own
    counterfactual.py  two opposite chunks from one moment: is each dream nearer to its own truth?
    agreement.py       do both views of one dream place a thing alike?   relative.py   where a view places it
    slices.py          the same numbers where it is hard
    report.py          all of it for one model         table.py     models side by side, Markdown and CSV
    drawings.py        truth over dream, and how errors grow
    preview.py         a few held-out dreams while a model is still being trained

    a model (`world_model/protocol.py`) + HeldOut ──report──> numbers ──table, drawings──> files

Intervals are over episodes (`evaluation/estimates.py`). Controls: copy_last, and the chunks of another episode.
"""
