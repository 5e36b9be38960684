"""What holds frames back on their way: a token bucket."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shaper:
    """``burst`` bytes leave at once, the rest at ``rate`` bits per second; at most ``room`` frames
    wait. Of ``ways`` that frames are spread over, each with a shaper of its own, all together."""

    rate: int
    burst: int
    room: int
    ways: int = 1

    def spread(self, ways: int) -> Shaper:
        return Shaper(self.rate * ways, self.burst * ways, self.room * ways, self.ways * ways)

    def most_frames(self, wall_ns: int, frame_size: int) -> float:
        """Frames (of bytes) that may leave a busy queue in so long: with one more of each way, or
        0.1 %, as an edge cuts frames.

        The kernel gives a frame its time in whole nanoseconds, rounded down
        (include/net/sch_generic.h, ``psched_l2t_ns``).
        """
        frame_ns = max(1, frame_size * 8 * 10**9 * self.ways // self.rate)
        passing = self.ways * wall_ns / frame_ns
        return passing + max(self.ways, passing / 1000)
