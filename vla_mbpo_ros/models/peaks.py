"""What a device is called, and what its vendor says that it can do."""

from __future__ import annotations

import torch

# Dense bfloat16 (TFLOP/s) and memory (TB/s) as the vendor states them.
PEAKS = {"H200": (989.0, 4.8), "H100": (989.0, 3.35), "A100": (312.0, 2.0)}


def peak_of(device: str) -> tuple[float, float] | None:
    """(TFLOP/s, TB/s); None where nothing is stated."""
    name = device_name(device)
    return next((peak for model, peak in PEAKS.items() if model in name), None)


def device_name(device: str) -> str:
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return f"cpu, {torch.get_num_threads()} threads"


def wait_for(device: str) -> None:
    """Until all that was asked of it is done."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
