"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# How long one example takes says something of the machine, nothing of the code.
settings.register_profile("any_machine", deadline=None)
settings.load_profile("any_machine")
