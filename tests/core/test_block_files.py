"""Frames of equal size: all rows once, in their order, however they come."""

import polars as pl
import pytest

from ipcascade.core.block_files import of_equal_size, read_blocks, write_blocks


@pytest.mark.parametrize("sizes", [[0], [0, 0], [3], [4], [1, 1, 1, 1], [9, 0, 2], [4, 4], [13, 1]])
def test_frames_are_of_equal_size_but_the_last(sizes):
    numbers = iter(range(100))
    frames = [pl.DataFrame({"n": [next(numbers) for _ in range(size)]}, schema={"n": pl.Int64}) for size in sizes]
    found = list(of_equal_size(frames, 4))
    assert pl.concat(found)["n"].to_list() == list(range(sum(sizes)))
    assert all(len(frame) == 4 for frame in found[:-1]) and (len(found[-1]) > 0 or len(found) == 1)


def test_a_table_without_rows_is_written_with_its_columns(tmp_path):
    write_blocks(tmp_path / "x.parquet", of_equal_size([pl.DataFrame(schema={"n": pl.Int64})], 4))
    assert pl.read_parquet(tmp_path / "x.parquet").schema == {"n": pl.Int64}
    assert sum(map(len, read_blocks(tmp_path / "x.parquet"))) == 0
