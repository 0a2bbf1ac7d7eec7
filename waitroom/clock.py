"""Wall and monotonic time, named by unit. The only module that asks the system what time it is.

Law: order and deadlines come from the store's clock. These are for what stays inside one process, and for tickets
stamped while the store is away.
"""

import time


def now_us() -> int:
    """Wall time in microseconds since the epoch."""
    return time.time_ns() // 1_000


def now_ms() -> int:
    """Wall time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def monotonic_us() -> int:
    """Microseconds from an arbitrary start, CLOCK_MONOTONIC as the kernel tells it; never jumps."""
    return time.monotonic_ns() // 1_000


def monotonic_ms() -> int:
    """Milliseconds from an arbitrary start; never jumps."""
    return time.monotonic_ns() // 1_000_000
