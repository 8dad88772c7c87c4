"""The small policy: two CPU cores train it in minutes. Behind the same protocol as the large ones.

`config.TinyConfig`, `eye.Eye` (pictures -> keypoints), `net.TinyNet` (the whole network), `factory.make_tiny`.
"""
