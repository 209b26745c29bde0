"""Ids of US patents as whole numbers: 10248910, D345393, RE36479, PP12345."""

import polars as pl

_FORM = r"^[A-Z]{0,2}[0-9]{1,9}$"
_DIGITS = 10**9  # numbers that an id's digits can be
_LETTERS = 27  # A is 1; 0 where an id has no such letter


def numbers_of(ids: pl.Series) -> pl.Series:
    """Int64 from 1: the digits, above those the letters before them; null where an id has another form."""
    name = ids.name
    valid = pl.col(name).str.contains(_FORM)
    letters = pl.col(name).str.extract(r"^([A-Z]*)", 1)
    first, second = (
        pl.when(letters.str.len_bytes() > place)
        .then(letters.str.slice(place, 1).replace_strict(_VALUES, default=0, return_dtype=pl.Int64))
        .otherwise(0)
        for place in (0, 1)
    )
    digits = pl.col(name).str.extract(r"([0-9]+)$", 1).cast(pl.Int64, strict=False)
    number = (first * _LETTERS + second) * _DIGITS + digits
    return ids.to_frame().select(pl.when(valid & (digits > 0)).then(number).alias(name)).to_series()


def id_of(number: int) -> str:
    """The id of a number of `numbers_of`, without zeros before its digits."""
    letters, digits = divmod(number, _DIGITS)
    first, second = divmod(letters, _LETTERS)
    return "".join(chr(ord("A") + letter - 1) for letter in (first, second) if letter) + str(digits)


_VALUES = {chr(ord("A") + place): place + 1 for place in range(26)}
