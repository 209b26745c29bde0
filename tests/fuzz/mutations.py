"""Random damage to the bytes of a CSV: what exports, transfers, editors and scripts do to one, and plain noise."""

import random

PIECES = [
    b'"', b'""', b'","', b'",', b',"', b",", b"\n", b"\r\n", b"\r", b"\\", b'\\"', b"\0", b"\xe9", b"\xef\xbb\xbf",
    b";", b" ", b"\t", b"x", b"0", b"-", b"+", "水".encode(), "ß".encode(),
]  # fmt: skip
NUMBERS = [
    b"+5", b"-5", b"5e3", b"1.5", b"1.0", b"007", b" 5 ", b"", b'""', b"0", b"-0", b"99999999999", b"2147483647",
    b"2147483648", b"20010203", b"999", b"1000", b"9999", b"40000", b"0x10", b"1_0", "٣".encode(), b"NULL",
    b"900000001", b'"5"', b"5 5",
]  # fmt: skip
DATES = [
    b"+2001-02-03", b"2001-2-3", b"0000-00-00", b"9999-12-31", b"2001-02-30", b"12001-01-01", b"0999-01-01",
    b"20010203", b"", b"2001-02-03 00:00:00", b"2001/02/03",
]  # fmt: skip


def mutate(content: bytes, rng: random.Random) -> bytes:
    """The content with one random change, which may by chance change nothing."""
    return rng.choice(MUTATIONS)(content, rng)


def _insert(content: bytes, rng: random.Random) -> bytes:
    place = rng.randint(0, len(content))
    return content[:place] + rng.choice(PIECES) + content[place:]


def _insert_at_quote(content: bytes, rng: random.Random) -> bytes:
    quotes = [place for place, byte in enumerate(content) if byte in b'",\n']
    place = rng.choice(quotes) + rng.randint(0, 1) if quotes else 0
    return content[:place] + rng.choice(PIECES) + content[place:]


def _delete(content: bytes, rng: random.Random) -> bytes:
    place = rng.randint(0, len(content))
    return content[:place] + content[place + rng.choice([1, 1, 1, 2, 5, 60]) :]


def _delete_quote(content: bytes, rng: random.Random) -> bytes:
    quotes = [place for place, byte in enumerate(content) if byte == ord('"')]
    place = rng.choice(quotes) if quotes else 0
    return content[:place] + content[place + 1 :]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.choice([rng.randint(0, len(content)), max(0, len(content) - rng.randint(0, 40))])]


def _undouble(content: bytes, rng: random.Random) -> bytes:
    return content.replace(b'""', b'"', rng.choice([1, 2, -1]))


def _line_ends(content: bytes, rng: random.Random) -> bytes:
    return content.replace(b"\r\n", rng.choice([b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b"\n\n"]))


def _lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    place = rng.randrange(len(lines))
    action = rng.randrange(4)
    if action == 0:
        lines.insert(place, rng.choice(lines))
    elif action == 1:
        lines.pop(place)
    elif action == 2:
        rng.shuffle(lines)
    else:
        lines.insert(place, rng.choice([b"\r\n", b"\n", b",\n", b",,\r\n", b"   \n", b'""\n', lines[0]]))
    return b"".join(lines)


def _field(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    place = rng.randrange(len(lines))
    fields = lines[place].split(b",")
    fields[rng.randrange(len(fields))] = rng.choice(NUMBERS + DATES + PIECES)
    lines[place] = b",".join(fields)
    return b"\n".join(lines)


def _recode(content: bytes, rng: random.Random) -> bytes:
    text = content.decode("utf-8", errors="replace")
    encoding = rng.choice(["utf-16", "utf-16-le", "latin-1", "utf-8-sig", "cp1252"])
    return text.encode(encoding, errors="replace")


def _header(content: bytes, rng: random.Random) -> bytes:
    first, end, rest = content.partition(b"\n")
    changes = [first.upper(), first.replace(b"appln", b"APPLN", 1), b'"' + first.strip().replace(b",", b'","') + b'"\r']
    changes += [first.replace(b",", b" , "), first.replace(b",", b";"), first.strip() + b",\r", b"\xef\xbb\xbf" + first]
    return rng.choice(changes) + end + rest


def _flip(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    if damaged:
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _repeat(content: bytes, rng: random.Random) -> bytes:
    return content + content


MUTATIONS = [
    _insert, _insert_at_quote, _insert_at_quote, _delete, _delete_quote, _cut, _undouble, _line_ends, _lines, _field,
    _field, _recode, _header, _flip, _repeat,
]  # fmt: skip


def damage_zip(content: bytes, rng: random.Random) -> bytes:
    """The bytes of a zip with one random change: flips, most of them in headers and directory, cuts, more bytes."""
    action = rng.randrange(6)
    if action == 0:
        return content[: rng.randint(0, len(content))]
    if action == 1:
        return rng.choice([b"#!/bin/sh\n", b"\0" * 50, content[:40]]) + content
    if action == 2:
        return content + rng.choice([b"\0" * 30, b"PK\x05\x06", content[:20]])
    damaged = bytearray(content)
    directory = max(0, content.rfind(b"PK\x01\x02"))
    for _ in range(rng.choice([1, 1, 2, 8])):
        place = rng.choice([rng.randrange(len(damaged)), rng.randrange(30), rng.randrange(directory, len(damaged))])
        damaged[place] = rng.choice([damaged[place] ^ 1 << rng.randrange(8), rng.randrange(256), 0, 255])
    return bytes(damaged)
