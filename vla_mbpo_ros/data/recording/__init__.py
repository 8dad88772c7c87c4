"""From the middleware to a bag: what is fresh, what arrived, what was lost, who held the lease. No ROS.

`recording.Recording` (one robot's sources and at most one open bag), `snapshot.Snapshot` (the last seconds, in
memory), `lease_spans.LeaseSpans` (when a person had the arm).
"""

from vla_mbpo_ros.data.recording.recording import Recording, Source

__all__ = ["Recording", "Source"]
