"""Piano rolls: the canonical split against scipy's own reading, the chorales against a score read by hand."""

from __future__ import annotations

import importlib.metadata
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from sklearn.linear_model import LogisticRegression

from lstm_jax.datasets import DATASETS, RawDataError, chance, load
from lstm_jax.datasets.bach_chorales import quarter_roll, read_score, split_of
from lstm_jax.datasets.piano_rolls import parse_mat
from lstm_jax.datasets.sequences import marginal_nll, next_step

CORPUS = Path(str(importlib.metadata.distribution("music21").locate_file("music21/corpus/bach")))


def chords(roll):
    return [{int(key) + 21 for key in np.flatnonzero(step)} for step in roll]


@pytest.fixture(scope="module")
def jsb_dir(raw_data, tmp_path_factory):
    if raw_data is None or not (raw_data / "jsb_chorales").is_dir():
        pytest.skip("no JSB_Chorales.mat here: name its folder in LSTM_JAX_RAW_DIR")
    return {"raw_dir": raw_data, "data_dir": tmp_path_factory.mktemp("jsb")}


@pytest.fixture(scope="module")
def bach_dir(tmp_path_factory):
    return {"data_dir": tmp_path_factory.mktemp("bach")}


def test_jsb_has_the_canonical_pieces_and_steps_in_the_order_of_the_file(jsb_dir):
    cells = loadmat(jsb_dir["raw_dir"] / "jsb_chorales" / "JSB_Chorales.mat")
    expected = {"train": (229, 13807), "validation": (76, 4602), "test": (77, 4725)}
    for (split, (pieces, steps)), key in zip(expected.items(), ("traindata", "validdata", "testdata"), strict=True):
        part = load("jsb_chorales", split, **jsb_dir)
        assert (len(part.inputs), part.lengths.sum() + pieces) == (pieces, steps)
        for row, cell in enumerate(cells[key][0]):
            length = len(cell) - 1
            np.testing.assert_array_equal(part.inputs[row, :length], cell[:-1])
            np.testing.assert_array_equal(part.targets[row, :length], cell[1:])


def test_jsb_chance_is_the_published_one_of_11_09_nats(jsb_dir):
    assert chance("jsb_chorales", **jsb_dir) == pytest.approx(11.09, abs=0.005)
    assert load("jsb_chorales", "test", **jsb_dir).loss_mask.sum() == 4648


def test_jsb_chance_agrees_with_marginals_computed_from_the_file(jsb_dir):
    cells = loadmat(jsb_dir["raw_dir"] / "jsb_chorales" / "JSB_Chorales.mat")
    share = np.clip(np.concatenate(list(cells["traindata"][0])).mean(0), 1e-6, 1 - 1e-6)
    rolls = [np.asarray(cell, float)[1:] for cell in cells["testdata"][0]]
    total = sum(-(roll * np.log(share) + (1 - roll) * np.log(1 - share)).sum() for roll in rolls)
    assert chance("jsb_chorales", **jsb_dir) == pytest.approx(total / sum(map(len, rolls)), rel=1e-5)


def test_chorales_are_the_four_part_pieces_of_the_corpus(bach_dir):
    parts = {split: load("bach_chorales", split, **bach_dir) for split in ("train", "validation", "test")}
    assert {split: len(part.inputs) for split, part in parts.items()} == {"train": 238, "validation": 63, "test": 63}
    assert sum(int(part.lengths.sum()) + len(part.lengths) for part in parts.values()) == 19810
    for part in parts.values():
        assert part.inputs.shape[2] == part.targets.shape[2] == 88
        assert part.inputs.sum(2).max() == 4
        assert not part.inputs[~part.loss_mask].any()


def test_a_chorale_begins_with_the_chords_of_its_score():
    # BWV 66.6, F sharp minor, from soprano to bass: upbeat C#5 E4 A3 A3, first downbeat A4 F#4 C#4 F#3,
    # then B4 E4 B3 G#3 and C#5 E4 A3 A3.
    roll = quarter_roll(read_score(CORPUS / "bwv66.6.mxl"), CORPUS / "bwv66.6.mxl")
    assert roll.shape == (36, 88)
    assert chords(roll[:4]) == [{57, 64, 73}, {54, 61, 66, 69}, {56, 59, 64, 71}, {57, 64, 73}]


def test_notes_of_odd_lengths_fall_on_the_right_quarters(tmp_path):
    score = one_part_score(
        "<attributes><divisions>4</divisions></attributes>"
        + note("C", 4, 2)  # quarter 0 to 1/2
        + note("D", 4, 6)  # 1/2 to 2: sounds at 1, not at 0
        + note("E", 4, 1)  # 2 to 2 1/4
        + note("F", 4, 3)  # 2 1/4 to 3: never at the beginning of a quarter
        + "<backup><duration>4</duration></backup>"
        + note("C", 3, 8, "<alter>1</alter>")  # a second voice from 2 to 4
        + note("G", 3, 8, chord=True)  # its chord
        + "<note><rest/><duration>4</duration></note>",
    )
    assert chords(quarter_roll(score, tmp_path)) == [{60}, {62}, {64, 49, 55}, {49, 55}]


def test_grace_notes_take_no_time(tmp_path):
    grace = "<note><grace/><pitch><step>A</step><octave>4</octave></pitch></note>"
    attributes = "<attributes><divisions>1</divisions></attributes>"
    score = one_part_score(attributes + note("C", 4, 1) + grace + note("D", 4, 1))
    assert chords(quarter_roll(score, tmp_path)) == [{60}, {62}]


def test_a_piece_and_its_transposition_are_in_the_same_part():
    rng = np.random.default_rng(0)
    rolls = [(rng.random((20, 88)) < 0.05).astype(np.uint8) for _ in range(50)]
    for roll in rolls:
        roll[:, -5:] = 0
        assert split_of(roll) == split_of(np.roll(roll, 5, axis=1))
    assert {split_of(roll) for roll in rolls} == {"train", "validation", "test"}


def test_twins_in_the_corpus_never_leak_between_parts():
    for one, other in (("bwv62.6", "bwv274"), ("bwv253", "bwv414"), ("bwv148.6", "bwv188.6")):
        paths = [CORPUS / f"{name}.mxl" for name in (one, other)]
        assert len({split_of(quarter_roll(read_score(path), path)) for path in paths}) == 1


def test_damaged_scores_are_named(tmp_path):
    bad = tmp_path / "bwv1.6.mxl"
    bad.write_bytes((CORPUS / "bwv1.6.mxl").read_bytes()[:500])
    with pytest.raises(RawDataError, match=r"bwv1\.6\.mxl: expected a compressed MusicXML"):
        read_score(bad)
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
    with pytest.raises(RawDataError, match=r"bwv1\.6\.mxl.*names no score"):
        read_score(bad)


def test_damaged_mat_files_are_named(tmp_path, raw_data):
    bad = tmp_path / "JSB_Chorales.mat"
    for content in (b"no matrix at all", b""):
        bad.write_bytes(content)
        with pytest.raises(RawDataError, match=r"JSB_Chorales\.mat"):
            parse_mat([bad])
    savemat(bad, {"traindata": np.zeros((1, 1))})
    with pytest.raises(RawDataError, match="traindata must hold 0/1 arrays"):
        parse_mat([bad])


def test_made_up_mat_files_are_read_in_order(tmp_path):
    rng = np.random.default_rng(1)
    rolls = {key: [rng.integers(0, 2, (n, 88), np.uint8) for n in (3, 5)] for key in ("a", "b", "c")}
    cells = {}
    for name, part in zip(("traindata", "validdata", "testdata"), rolls.values(), strict=True):
        cells[name] = np.empty((1, 2), object)
        cells[name][0, 0], cells[name][0, 1] = part
    savemat(tmp_path / "made.mat", cells)
    parts = parse_mat([tmp_path / "made.mat"])
    for split, key in zip(("train", "validation", "test"), rolls, strict=True):
        for found, expected in zip(parts[split], rolls[key], strict=True):
            np.testing.assert_array_equal(found["roll"], expected)


def test_marginal_chance_is_the_best_constant_on_its_own_training_part():
    rng = np.random.default_rng(2)
    part = next_step([(rng.random((n, 6)) < rng.random(6)).astype(np.uint8) for n in (40, 30)])
    own = marginal_nll(part, part)
    assert own < 6 * np.log(2)
    assert DATASETS["jsb_chorales"].chance is marginal_nll


def regression_nll(parts):
    """Test nats a step of logistic regressions of each key of the next step on the present one, with a ridge of 1.

    Chords repeat: each is one row, once for the steps after which the key sounds and once for the others. A key that
    no step of training has is met with a probability of 1e-6, as for ``marginal_nll``.
    """
    (x, y), (held_x, held_y) = ((part.inputs[part.loss_mask], part.targets[part.loss_mask]) for part in parts)
    chords, number = np.unique(x, axis=0, return_inverse=True)
    times = np.bincount(number.ravel()).astype(float)
    total = 0.0
    for key in range(y.shape[1]):
        sounding = np.bincount(number.ravel(), weights=y[:, key])
        logits = np.full(len(held_x), -np.log(1e6))
        if sounding.any():
            rows, classes = np.vstack([chords, chords]), np.repeat([1, 0], len(chords))
            weights = np.concatenate([sounding, times - sounding])
            fit = LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-8, max_iter=200)
            logits = fit.fit(rows.astype(float), classes, weights).decision_function(held_x.astype(float))
        total += (np.logaddexp(0.0, logits) - held_y[:, key] * logits).mean()
    return total


@pytest.mark.parametrize("name", ["jsb_chorales", "nottingham", "bach_chorales"])
def test_what_the_present_step_alone_predicts_is_what_the_record_says(name, raw_data, tmp_path):
    packaged = name == "bach_chorales"
    if not packaged and (raw_data is None or not (raw_data / name).is_dir()):
        pytest.skip(f"no raw files of {name} here: name their folder in LSTM_JAX_RAW_DIR")
    where = {"data_dir": tmp_path} | ({} if packaged else {"raw_dir": raw_data})
    parts = [load(name, split, **where) for split in ("train", "test")]
    assert regression_nll(parts) == pytest.approx(DATASETS[name].present_step, abs=1e-3)


def note(step, octave, duration, alter="", chord=False):
    pitch = f"<pitch><step>{step}</step>{alter}<octave>{octave}</octave></pitch>"
    return f"<note>{'<chord/>' if chord else ''}{pitch}<duration>{duration}</duration></note>"


def one_part_score(measure):
    return ElementTree.fromstring(f"<score-partwise><part><measure>{measure}</measure></part></score-partwise>")
