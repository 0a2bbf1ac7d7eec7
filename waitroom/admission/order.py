"""Order keys: the place of a ticket, computed from the ticket alone.

Law: order within a lane is the order key, a pure function of the ticket (DESIGN.md law 2), so a place that the store
lost is rebuilt exactly by whoever shows the ticket. The store keeps it as the score of a sorted set, a double: whole
numbers up to 2^53 = 9.007e15 are exact. A lane is worth 3e15, and an arrival in microseconds stays below that until
the year 2065.
"""

from waitroom.admission.line import Lane

LANE_WIDTH = 3_000_000_000_000_000
"""Distance between two lanes in the order key; also the first instant (us) that no longer fits."""


def order_key(lane: Lane, order_us: int) -> int:
    """The score of a ticket: smaller enters first. `order_us` is the arrival, or the draw's place before an opening."""
    assert 0 <= order_us < LANE_WIDTH
    return int(lane) * LANE_WIDTH + order_us


def lane_of(key: int) -> Lane:
    """The lane that an order key lies in."""
    return Lane(key // LANE_WIDTH)
