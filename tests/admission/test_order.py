"""Order keys are exact, and lanes never mix."""

from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.line import Lane
from waitroom.admission.order import LANE_WIDTH, lane_of, order_key

arrivals = st.integers(0, LANE_WIDTH - 1)


@given(st.sampled_from(Lane), arrivals, st.sampled_from(Lane), arrivals)
def test_lane_first_then_arrival(lane_a: Lane, us_a: int, lane_b: Lane, us_b: int) -> None:
    """Comparing keys is comparing (lane, arrival)."""
    assert (order_key(lane_a, us_a) < order_key(lane_b, us_b)) == ((lane_a, us_a) < (lane_b, us_b))


@given(st.sampled_from(Lane), arrivals)
def test_keys_are_exact_in_a_double(lane: Lane, us: int) -> None:
    """The store keeps scores as doubles; no microsecond may be lost in one."""
    key = order_key(lane, us)
    assert int(float(key)) == key
    assert lane_of(key) is lane
