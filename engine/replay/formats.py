"""The formats of a stream's files: the magic bytes each begins with, and why another is refused."""

import re
from pathlib import Path

TAPE_MAGIC = b"TAPESCAN-TAPE-2\n"
GENESIS_MAGIC = b"TAPESCAN-GENESIS-4\n"
_NAMED = re.compile(rb"(TAPESCAN-[A-Z]+)-(\d+)\n")


def why_refused(path: Path, content: bytes, magic: bytes, what: str) -> str:
    """One sentence why a file is not read, empty when it is: `content` begins with `magic`.

    what: "tape" or "genesis file". A file of another version of the same format is told as one.
    """
    if content.startswith(magic):
        return ""
    ours, found = _NAMED.match(magic), _NAMED.match(content)
    if ours and found and found[1] == ours[1]:
        return (
            f"{path} is a {what} in format {found[2].decode()}, but this version of Tapescan "
            f"reads and writes format {ours[2].decode()} only."
        )
    return f"{path} is not a {what}: it does not start with the {what}'s magic bytes."
