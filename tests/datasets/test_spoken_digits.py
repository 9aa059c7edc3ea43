"""Spoken digits: the archive, made up or real, and the view of it."""

from __future__ import annotations

import dataclasses
import gzip
import io
import struct
import tarfile

import numpy as np
import pytest
from oracles.numpy_speech import features_by_the_book, scaled
from scipy.io import wavfile

from lstm_jax.datasets import DATASETS, DataNotFoundError, RawDataError, chance, load, prepare, sources
from lstm_jax.datasets.builder import read
from lstm_jax.datasets.record import RawFile
from lstm_jax.datasets.sequences import majority_accuracy
from lstm_jax.datasets.spoken_digits import SCALE, parse, read_clips, view

RATE = 8000
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
CLIPS = [(digit, speaker, index) for digit in range(10) for speaker in SPEAKERS for index in range(50)]
INDICES = {"train": range(10, 50), "validation": range(5, 10), "test": range(5)}


def wav(samples, rate=RATE, channels=1, bits=16):
    """A WAV file by its definition, for ``samples`` of any type."""
    data, block = np.asarray(samples).tobytes(), channels * bits // 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * block, block, bits)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def swell(digit, speaker, index):
    """A tone that grows louder, different for each clip, of 100 to 468 samples."""
    hertz, size = 250 + 120 * digit + 10 * SPEAKERS.index(speaker) + index, 100 + 30 * digit + 2 * index
    return np.round(np.linspace(100, 3000, size) * np.sin(2 * np.pi * hertz * np.arange(size) / RATE)).astype("<i2")


def pack(path, members, mode="w:gz"):
    """An archive of (name, content) pairs."""
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


def header_of(size):
    """The header of a member that promises ``size`` bytes."""
    header = tarfile.TarInfo("recordings/7_theo_3.wav")
    header.size = size
    return header.tobuf(tarfile.GNU_FORMAT)


def name_of(clip):
    return "recordings/{}_{}_{}.wav".format(*clip)


@pytest.fixture(scope="module")
def tones():
    """All 3000 members, made up, in a shuffled order."""
    order = np.random.default_rng(0).permutation(len(CLIPS))
    return [(name_of(CLIPS[n]), wav(swell(*CLIPS[n]))) for n in order]


@pytest.fixture(scope="module")
def made_up_dir(tones, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made_up")
    (folder / "raw").mkdir()
    pack(folder / "raw" / "recordings.tar", tones, "w")
    return {"raw_dir": folder / "raw", "data_dir": folder / "data"}


@pytest.fixture
def made_up(made_up_dir, monkeypatch):
    """The folders of a made-up archive, which passes for the real one; prepared once for all tests."""
    record = dataclasses.replace(DATASETS["spoken_digits"], files=(RawFile("recordings.tar.gz"),))
    monkeypatch.setitem(DATASETS, "spoken_digits", record)
    return made_up_dir


@pytest.fixture(scope="module")
def real_dir(raw_data, tmp_path_factory):
    if raw_data is None or not (raw_data / "spoken_digits").is_dir():
        pytest.skip("no spoken_digits/recordings.tar.gz here: name its folder in LSTM_JAX_RAW_DIR")
    return {"raw_dir": raw_data, "data_dir": tmp_path_factory.mktemp("spoken_digits")}


def test_an_archive_is_split_by_the_index_of_its_clips_and_sorted(tones, tmp_path):
    parts = parse([pack(tmp_path / "recordings.tar.gz", tones)])
    assert {split: len(part) for split, part in parts.items()} == {"train": 2400, "validation": 300, "test": 300}
    for split, indices in INDICES.items():
        expected = [clip for clip in CLIPS if clip[2] in indices]
        assert [(row["label"], row["speaker"], row["index"]) for row in parts[split]] == expected
        for row, clip in zip(parts[split], expected, strict=True):
            assert row["waveform"].dtype == np.int16
            np.testing.assert_array_equal(row["waveform"], swell(*clip))


def test_a_made_up_archive_is_prepared_with_all_it_says_of_each_clip(made_up):
    record = DATASETS["spoken_digits"]
    rows = read(record, prepare("spoken_digits", **made_up), "validation")
    clips = [clip for clip in CLIPS if clip[2] in INDICES["validation"]]
    assert list(zip(map(int, rows["label"]), rows["speaker"], map(int, rows["index"]), strict=True)) == clips
    for waveform, clip in zip(rows["waveform"], clips, strict=True):
        assert waveform.dtype == np.int16
        np.testing.assert_array_equal(waveform, swell(*clip))


def test_the_view_labels_every_frame_with_the_digit(made_up):
    part = load("spoken_digits", "test", **made_up)
    clips = [clip for clip in CLIPS if clip[2] in INDICES["test"]]
    frames = [1 + max(0, (len(swell(*clip)) - 200) // 80) for clip in clips]
    assert part.lengths.tolist() == frames and part.inputs.shape == (300, max(frames), 39)
    assert part.loss_mask.tolist() == [[t < length for t in range(max(frames))] for length in frames]
    assert [set(row[mask]) for row, mask in zip(part.targets, part.loss_mask, strict=True)] == [{c[0]} for c in clips]
    assert not part.inputs[~part.loss_mask].any()
    assert [array.dtype for array in part] == [np.float32, np.int32, np.int32, np.bool_]
    for row in (0, 150, 299):
        expected = scaled(features_by_the_book(swell(*clips[row])), SCALE)
        # Pure tones: in float32 the filters far from them hear what rounding leaves of the loudest bin.
        np.testing.assert_allclose(part.inputs[row, : frames[row]], expected, atol=1e-3)


def test_clips_cut_short_keep_their_first_frames_unchanged(made_up):
    whole, short = (load("spoken_digits", "test", longest=longest, **made_up) for longest in (None, 2))
    assert whole.lengths.max() == 3
    assert short.inputs.shape == (300, 2, 39)
    np.testing.assert_array_equal(short.lengths, np.minimum(whole.lengths, 2))
    np.testing.assert_array_equal(short.inputs, whole.inputs[:, :2])
    np.testing.assert_array_equal(short.targets, whole.targets[:, :2])
    np.testing.assert_array_equal(short.loss_mask, whole.loss_mask[:, :2])
    longer = load("spoken_digits", "test", longest=10_000, **made_up)
    assert longer.inputs.shape == whole.inputs.shape


@pytest.mark.parametrize("longest", [0, -1, 2.0, "100", True])
def test_an_impossible_length_is_refused(longest):
    with pytest.raises(ValueError, match="longest must be None or a number of frames"):
        view({"waveform": [swell(0, "theo", 0)], "label": [0]}, longest)


def test_chance_is_the_share_of_frames_of_the_commonest_digit(made_up):
    def frames(split):
        return {d: sum(1 + max(0, (len(swell(*c)) - 200) // 80) for c in clips(split) if c[0] == d) for d in range(10)}

    def clips(split):
        return [clip for clip in CLIPS if clip[2] in INDICES[split]]

    train, test = frames("train"), frames("test")
    expected = test[max(train, key=train.__getitem__)] / sum(test.values())
    assert chance("spoken_digits", **made_up) == pytest.approx(expected)
    assert DATASETS["spoken_digits"].chance is majority_accuracy


GOOD = wav(swell(7, "theo", 3))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("recordings/7_theo_3.wav", b"", "expected a WAV file, got 0 bytes"),
        ("recordings/7_theo_3.wav", b"no sound at all, but text", "expected a WAV file, got 25 bytes"),
        ("recordings/7_theo_3.wav", GOOD[:20], "expected a WAV file, got 20 bytes"),
        ("recordings/7_theo_3.wav", GOOD[:16] + b"\xff\xff\xff\x7f" + GOOD[20:], "expected a WAV file, got 676 bytes"),
        ("recordings/7_theo_3.wav", GOOD[:-101], r"as many as its header promises \(316\), got 265.5"),
        ("recordings/7_theo_3.wav", wav([]), r"expected one sample or more.* promises \(0\), got 0"),
        (
            "recordings/7_theo_3.wav",
            wav(swell(1, "theo", 1), rate=16000),
            "expected 8000 Hz.*got 16000 Hz, 1 channels",
        ),
        (
            "recordings/7_theo_3.wav",
            wav(swell(1, "theo", 1), channels=2),
            "1 channel, 16 bit, got 8000 Hz, 2 channels",
        ),
        ("recordings/7_theo_3.wav", wav(np.zeros(300, "u1"), bits=8), "1 channel, 16 bit, got .* 1 channels, 8 bit"),
        ("recordings/10_theo_3.wav", GOOD, "expected a name recordings/DIGIT_SPEAKER_INDEX.wav"),
        ("recordings/7_theodor_3.wav", GOOD, "a speaker out of george, jackson, lucas, nicolas, theo, yweweler"),
        ("recordings/7_theo_50.wav", GOOD, "an index 0 to 49"),
        ("recordings/7_theo_03.wav", GOOD, "an index 0 to 49"),
        ("7_theo_3.wav", GOOD, "expected a name recordings/"),
        ("recordings/read_me.txt", GOOD, "expected a name recordings/"),
        ("recordings/0_theo_0.wav", GOOD, "expected each clip once, got it twice"),
    ],
)
def test_a_member_that_is_not_as_it_should_be_is_named(tmp_path, name, content, message):
    first = ("recordings/0_theo_0.wav", wav(swell(0, "theo", 0)))
    path = pack(tmp_path / "recordings.tar.gz", [first, (name, content)])
    with pytest.raises(RawDataError, match=message) as caught:
        read_clips(path)
    assert f"{path}: member {name}: " in str(caught.value)


def test_a_missing_clip_is_named(tones, tmp_path):
    path = pack(tmp_path / "recordings.tar", [tone for tone in tones if tone[0] != "recordings/4_lucas_17.wav"], "w")
    with pytest.raises(
        RawDataError, match=r"recordings\.tar: expected 3000 clips, got 2999: 4_lucas_17\.wav is missing"
    ):
        read_clips(path)


def test_folders_in_the_archive_do_not_matter_and_links_are_refused(tmp_path):
    path = tmp_path / "recordings.tar"
    for kind, message in ((tarfile.DIRTYPE, "got 0: 0_george_0.wav is missing"), (tarfile.SYMTYPE, "no plain file")):
        with tarfile.open(path, "w") as archive:
            header = tarfile.TarInfo("recordings")
            header.type, header.linkname = kind, "elsewhere"
            archive.addfile(header)
        with pytest.raises(RawDataError, match=message):
            read_clips(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda packed: b"", "is empty"),
        (lambda packed: packed[: len(packed) // 2], "truncated or corrupt gzip"),
        (lambda packed: b"this is not an archive" * 100, "expected a whole tar archive, but reading member the first"),
        (lambda packed: gzip.decompress(packed)[:700], "reading member recordings/7_theo_3.wav failed"),
        (lambda packed: header_of(2**80) + gzip.decompress(packed), "reading member recordings/7_theo_3.wav failed"),
    ],
)
def test_an_archive_that_is_none_or_ends_too_early_is_named(tmp_path, spoil, message):
    path = pack(tmp_path / "recordings.tar.gz", [("recordings/7_theo_3.wav", GOOD)])
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(RawDataError, match=message) as caught:
        read_clips(path)
    assert str(path) in str(caught.value)


def test_bytes_gone_wrong_in_the_headers_give_an_error_that_names_the_file(tmp_path):
    rng, path = np.random.default_rng(4), tmp_path / "recordings.tar"
    whole = pack(path, [("recordings/7_theo_3.wav", GOOD)], "w").read_bytes()
    for _ in range(300):
        spoilt = np.frombuffer(whole[:1500], np.uint8).copy()
        spoilt[rng.integers(0, 560, rng.integers(1, 4))] = rng.integers(0, 256)
        path.write_bytes(spoilt.tobytes() + whole[1500:])
        with pytest.raises(RawDataError, match=r"recordings\.tar: "):  # if only because 2999 clips are missing
            read_clips(path)


def test_another_archive_of_that_name_is_refused_before_anything_is_written(tones, tmp_path):
    path = pack(tmp_path / "recordings.tar.gz", tones[:1])
    with pytest.raises(RawDataError, match="is not the published recordings.tar.gz") as caught:
        prepare("spoken_digits", raw_dir=tmp_path, data_dir=tmp_path / "data")
    assert str(path) in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_without_the_archive_the_error_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.delenv("LSTM_JAX_RAW_DIR", raising=False)
    assert [source.kind for source in sources("spoken_digits", data_dir=tmp_path)] == ["prepared"]
    with pytest.raises(DataNotFoundError, match=r"put recordings\.tar\.gz into FOLDER/spoken_digits/"):
        prepare("spoken_digits", data_dir=tmp_path)


def test_the_real_clips_are_those_scipy_reads_out_of_the_archive(real_dir):
    clips = {}
    with tarfile.open(real_dir["raw_dir"] / "spoken_digits" / "recordings.tar.gz") as archive:
        for member in archive:
            digit, speaker, index = member.name.split("/")[1][:-4].split("_")
            rate, samples = wavfile.read(io.BytesIO(archive.extractfile(member).read()))
            assert rate == RATE and samples.dtype == np.int16
            clips[int(digit), speaker, int(index)] = samples
    folder, record = prepare("spoken_digits", **real_dir), DATASETS["spoken_digits"]
    for split, indices in INDICES.items():
        rows = read(record, folder, split)
        found = zip(map(int, rows["label"]), rows["speaker"], map(int, rows["index"]), strict=True)
        for clip, waveform in zip(found, rows["waveform"], strict=True):
            assert clip[2] in indices
            np.testing.assert_array_equal(waveform, clips.pop(clip))
    assert not clips


@pytest.mark.parametrize(
    ("split", "clips", "frames"), [("train", 2400, 100305), ("validation", 300, 12606), ("test", 300, 12326)]
)
def test_the_real_parts_are_balanced_and_padded_to_their_longest_clip(real_dir, split, clips, frames):
    part = load("spoken_digits", split, **real_dir)
    assert part.inputs.shape == (clips, part.lengths.max(), 39) and part.lengths.sum() == frames
    assert np.bincount(part.targets[:, 0]).tolist() == [clips // 10] * 10
    assert np.isfinite(part.inputs).all()
    heard = part.inputs[part.loss_mask].astype(np.float64)
    slack = 0.01 if split == "train" else 0.15  # its own units, and those of others who say the same
    means = heard.mean(0)
    np.testing.assert_allclose(means[:13], 0, atol=slack)
    np.testing.assert_allclose(means[13:], 0, atol=0.1)  # of differences next to none is taken away
    np.testing.assert_allclose(heard.std(0), 1, rtol=slack)
