"""How this process takes memory from the system: a recorder gets thousands of images a minute, each about 1 MB.

By default the C library of Linux maps every block of that size afresh and gives it back at once, so that each
image is paid for by several hundred page faults. Told to keep large blocks, it uses the same pages again and again.
"""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2  # numbers of malloc.h
_LARGEST_BLOCK = 32 << 20  # what glibc takes at most [bytes]; an image of 3840x2160 rgb8 has 25 MB
_KEPT = 512 << 20  # free memory at the end of the heap that is not given back [bytes]
_STEP = 64 << 20  # how much the heap grows by [bytes]


def keep_large_blocks() -> bool:
    """Call it once, early. False where the C library is not glibc: then nothing is changed."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    wanted = ((_MMAP_THRESHOLD, _LARGEST_BLOCK), (_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _STEP))
    taken = [bool(mallopt(number, value)) for number, value in wanted]
    return all(taken)
