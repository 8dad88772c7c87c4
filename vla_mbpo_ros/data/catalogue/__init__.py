"""What recordings there are: every bag below a folder as one row, kept so that a second look costs nothing.

folder ──find──> bags ──entry.py──> one row each ──index.py──> .episodes.jsonl ──selection.py──> those wanted
                                                                                 bag_info.py ──> all of one
                                                                                 labels.py ────> say it anew
"""
