"""Sizes of the things on the table, in metres. The one place where they are written."""

from __future__ import annotations

BUTTON_RADIUS_M = 0.030
BUTTON_BASE_M = 0.016  # height of the foot
BUTTON_TOP_M = 0.036  # height of the cap at rest
BUTTON_TRAVEL_M = 0.012  # as far down as the cap goes
PRESSED_M = 0.007  # a cap that is this far down is pressed

CUBE_HALF_M = 0.025
BLOCK_HALF_M = 0.030  # of the block that is pushed
ZONE_HALF_M = 0.055
PLATE_RADIUS_M, PLATE_TOP_M = 0.062, 0.008
BOWL_RADIUS_M, BOWL_WALL_M = 0.058, 0.005  # to the middle of the wall; half its thickness
BOWL_FLOOR_M, BOWL_RIM_M = 0.006, 0.034  # heights
FLAT_M = 0.002  # thickness of a zone
