import pytest

from switchyard.store.cell import CLASSED, Cell, bucket_of, percentile


@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.3, 1.0, 7.7, 60.0, 3600.0])
def test_a_percentile_is_off_by_nine_percent_at_most(seconds: float) -> None:
    found = percentile({bucket_of(seconds): 1}, 0.5)
    assert found is not None
    assert abs(found - seconds * 1000) <= max(1, seconds * 1000 * 0.091)


@pytest.mark.parametrize(
    ("share", "seconds"), [(0.01, 0.1), (0.5, 0.1), (0.9, 0.1), (0.91, 10), (0.95, 10), (1.0, 10)]
)
def test_percentiles_are_counted_from_the_shortest_time(share: float, seconds: float) -> None:
    buckets = {bucket_of(10.0): 10, bucket_of(0.1): 90}
    assert percentile(buckets, share) == percentile({bucket_of(seconds): 1}, 0.5)


def test_no_times_have_no_percentile() -> None:
    assert percentile({}, 0.5) is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.0001])
def test_a_time_too_short_to_measure_is_one_millisecond(seconds: float) -> None:
    assert bucket_of(seconds) == bucket_of(0.001) == 0


def a_cell(sums: dict[str, int], classed: dict[int, int]) -> Cell:
    cell = Cell(first_byte=dict(classed), first_token=dict(classed))
    for name, value in sums.items():
        setattr(cell, name, value)
    return cell


def test_merging_adds_every_sum() -> None:
    names = [name for name in Cell.__struct_fields__ if name not in CLASSED]
    one = a_cell({name: index for index, name in enumerate(names, 1)}, {1: 1, 2: 5})
    other = a_cell(dict.fromkeys(names, 100), {2: 2, 3: 3})
    one.merge(other)
    assert one == a_cell({name: index + 100 for index, name in enumerate(names, 1)}, {1: 1, 2: 7, 3: 3})
    assert other == a_cell(dict.fromkeys(names, 100), {2: 2, 3: 3})


def test_cells_are_whole_numbers_only() -> None:
    assert all(isinstance(getattr(Cell(), name), int | dict) for name in Cell.__struct_fields__)
