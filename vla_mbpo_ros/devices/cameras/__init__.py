"""Cameras. See `devices`."""
