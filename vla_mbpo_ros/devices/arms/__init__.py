"""Arms. See `devices`."""
