"""The log of a run's records."""

import io

from hypothesis import given
from hypothesis import strategies as st
from wandb_runtime.lifecycle.run_log import read_entries, write_entries

# Around the size of a block and of its headers.
sizes = st.one_of(st.integers(0, 100), st.integers(32740, 32790), st.integers(65500, 65600))
entries = st.lists(st.builds(lambda size, byte: bytes([byte]) * size, sizes, st.integers(0, 255)), max_size=6)


def written(given: list[bytes]) -> bytes:
    file = io.BytesIO()
    write_entries(file, given)
    return file.getvalue()


@given(entries)
def test_written_entries_are_read_back(given: list[bytes]) -> None:
    assert list(read_entries(io.BytesIO(written(given)))) == given


@given(entries, st.data())
def test_truncated_log_ends_with_its_last_whole_entry(given: list[bytes], data: st.DataObject) -> None:
    log = written(given)
    found = list(read_entries(io.BytesIO(log[: data.draw(st.integers(0, len(log)))])))

    assert found == given[: len(found)]


def test_damaged_entry_ends_the_log() -> None:
    log = bytearray(written([b"first", b"second"]))
    log[-1] ^= 1

    assert list(read_entries(io.BytesIO(log))) == [b"first"]
