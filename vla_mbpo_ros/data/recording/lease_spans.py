"""Who held the lease while an episode was recorded, where it was not the policy.

control_source   policy ──── human ──── "" ── policy ──
spans                        [human, from, until]
"""

from __future__ import annotations

import struct

from vla_mbpo_ros.errors import ContractError

TOPIC = "control_source"  # std_msgs/String: the name of the source that holds the lease; empty for nobody
_USUAL = ("policy", "")  # no intervention
_LENGTH = {b"\x00\x00": struct.Struct(">I"), b"\x00\x01": struct.Struct("<I")}
_TEXT_AT = 8  # encapsulation and length come first


class LeaseSpans:
    """Follows the lease all the time; `begin` and `end` frame an episode."""

    def __init__(self) -> None:
        self._holder, self._since_ns = "", 0
        self._spans: list[tuple[str, int, int]] = []

    def see(self, holder: str, now_ns: int) -> None:
        """From now on `holder` has the lease. Said again it changes nothing."""
        if holder != self._holder:
            self._close(now_ns)
            self._holder, self._since_ns = holder, now_ns

    def begin(self, now_ns: int) -> None:
        """An episode begins; who has the lease already has it from here on."""
        self._spans, self._since_ns = [], now_ns

    def end(self, now_ns: int, start_ns: int) -> list[tuple[str, float, float]]:
        """[source, from, until] in seconds after `start_ns`."""
        self._close(now_ns)
        self._since_ns = now_ns
        seconds = [(name, (a - start_ns) * 1e-9, (b - start_ns) * 1e-9) for name, a, b in self._spans]
        return [(name, round(max(a, 0.0), 6), round(max(b, 0.0), 6)) for name, a, b in seconds]

    def _close(self, now_ns: int) -> None:
        if self._holder not in _USUAL and now_ns > self._since_ns:
            self._spans.append((self._holder, self._since_ns, now_ns))


def text_of_cdr(data: bytes) -> str:
    """The text of a serialised std_msgs/String."""
    layout = _LENGTH.get(bytes(data[:2]))
    if layout is None or len(data) < _TEXT_AT:
        raise ContractError(f"A text begins with {bytes(data[:4]).hex()}, which is not plain CDR.", "Mend its sender.")
    (length,) = layout.unpack_from(data, 4)
    if len(data) < _TEXT_AT + length:
        raise ContractError(f"A text of {length} bytes has only {len(data) - _TEXT_AT}.", "Mend its sender.")
    return bytes(data[_TEXT_AT : _TEXT_AT + length]).rstrip(b"\x00").decode("utf-8", "replace")
