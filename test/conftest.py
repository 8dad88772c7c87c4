"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# One thread for each test and what it starts, before anybody imports torch: many tests compare to the last bit, and two
# cores are shared with nodes and workers.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# How long one example takes says something of the machine, nothing of the code.
settings.register_profile("any_machine", deadline=None)
settings.load_profile("any_machine")
