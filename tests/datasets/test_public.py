"""TFDS' own data sets by name: a text, an image or a series a class, as TFDS leaves them in its folder."""

from __future__ import annotations

import io
import json
import shutil

import jax
import numpy as np
import pytest

from lstm_jax.datasets import DATASETS, DataNotFoundError, RawDataError, chance, load, open_reader, prepare
from lstm_jax.datasets.record import SPLITS
from lstm_jax.names import UnknownName, UsageError
from lstm_jax.tasks.batch import Inputs
from lstm_jax.train import Config, DataConfig, ModelConfig, TrainConfig, load_run, train
from lstm_jax.train.network import apply_network

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (25, 5, 4), dtype=np.uint8)
SERIES = [RNG.normal(size=(2 + n, 3)).astype(np.float32) for n in range(9)]


def png(pixels):
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def tfds_dir(tmp_path_factory):
    """Prepared by TFDS itself, each by a builder of its own as its catalogue has them."""
    import importlib_resources  # noqa: F401  (as in builder.py)
    import tensorflow_datasets as tfds

    root, features = tmp_path_factory.mktemp("tensorflow_datasets"), tfds.features

    def build(called, columns, parts, version="1.0.0", config=None):
        class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            name = called
            VERSION = tfds.core.Version(version)
            BUILDER_CONFIGS = [] if config is None else [tfds.core.BuilderConfig(name=config)]  # noqa: RUF012

            def _info(self):
                columns_ = features.FeaturesDict(columns)
                return tfds.core.DatasetInfo(
                    builder=self, description="A set of things. More of it.", features=columns_
                )

            def _split_generators(self, manager):
                return {split: self._generate_examples(rows) for split, rows in parts.items()}

            def _generate_examples(self, rows):
                yield from ((f"{n:06}", row) for n, row in enumerate(rows))

        Builder(data_dir=str(root), file_format="array_record").download_and_prepare()

    images = {"image": features.Image(shape=(5, 4, 1)), "label": features.ClassLabel(num_classes=3), "id": np.int32}
    rows = [{"image": png(pixels), "label": n % 3, "id": n} for n, pixels in enumerate(PIXELS)]
    build("clothes", images, {"train": rows[:20], "test": rows[20:]})
    texts = {"text": features.Text(), "label": features.ClassLabel(names=["bad", "good"])}
    build("reviews", texts, {"train": [{"text": f"grün {n}", "label": n % 2} for n in range(10)],
                             "validation": [{"text": "a", "label": 1}]}, config="plain")  # fmt: skip
    build("waves", {"x": features.Tensor(shape=(None, 3), dtype=np.float32), "y": features.ClassLabel(num_classes=4)},
          {split: [{"x": x, "y": n % 4} for n, x in enumerate(SERIES)] for split in SPLITS}, "10.0.0")  # fmt: skip
    build("waves", {"x": features.Tensor(shape=(None, 3), dtype=np.float32), "y": features.ClassLabel(num_classes=2)},
          {split: [{"x": SERIES[0], "y": 1}] for split in SPLITS}, "9.0.0")  # fmt: skip
    build("pairs", {"a": features.Text(), "b": features.Text(), "label": features.ClassLabel(num_classes=2)},
          {"train": [{"a": "", "b": "", "label": 0}]})  # fmt: skip
    rows = [{"text": "a", "label": -1, "more": {"x": 1}, "many": [0, 1]}] * 10
    inner = {"more": {"x": np.int32}, "many": features.Sequence(features.ClassLabel(num_classes=2))}
    build("secret", texts | inner, {"train": [row | {"label": 1} for row in rows], "test": rows})
    build("few", texts, {split: [{"text": "a", "label": 1}] for split in ("train", "test")})
    build("alone", texts, {"train": [{"text": "a", "label": 1}]})
    return root


@pytest.fixture(autouse=True)
def there(tfds_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tfds_dir))


def test_images_are_read_pixel_by_pixel_and_a_tenth_of_training_validates():
    parts = {split: load("tfds:clothes", split) for split in SPLITS}
    assert [len(parts[split].lengths) for split in SPLITS] == [18, 2, 5]
    inputs = np.concatenate([parts[split].inputs for split in SPLITS])
    np.testing.assert_allclose(np.sort(inputs[:20], axis=0), np.sort(PIXELS[:20].reshape(20, 20, 1) / 255, axis=0))
    found = {row.tobytes() for row in inputs}
    assert found == {(pixels.reshape(20, 1).astype(np.float32) / 255).tobytes() for pixels in PIXELS}
    by_pixels = {(PIXELS[n].reshape(20, 1).astype(np.float32) / 255).tobytes(): n % 3 for n in range(25)}
    for part in parts.values():
        assert part.targets[:, -1].tolist() == [by_pixels[row.tobytes()] for row in part.inputs]
        assert part.loss_mask.sum() == len(part.lengths) and part.loss_mask[:, -1].all()
    record = DATASETS["tfds:clothes"]
    assert (record.input_size, record.output_size, record.summary) == (1, 3, "A set of things")
    commonest = np.bincount(parts["train"].targets[:, -1]).argmax()
    assert chance("tfds:clothes") == [2, 0, 1, 2, 0].count(commonest) / 5  # rows 20 to 24
    assert "tfds:clothes" in DATASETS and "tfds:clothes" not in [*DATASETS]


def test_texts_are_read_byte_by_byte_with_their_form_named_or_not():
    whole, cut = load("tfds:reviews", "train"), load("tfds:reviews/plain", "train", longest=4)
    found = {bytes(row[:n].tolist()).decode() for row, n in zip(whole.inputs, whole.lengths, strict=True)}
    assert found < {f"grün {n}" for n in range(10)} and len(found) == 9
    assert len(whole.lengths) == 9 and cut.lengths.tolist() == [4] * 9
    assert load("tfds:reviews", "test").inputs.tolist() == [[97]]
    for row, length, mask in zip(whole.targets, whole.lengths, whole.loss_mask, strict=True):
        assert mask.tolist() == [False] * (length - 1) + [True] + [False] * (len(row) - length)


def test_series_are_read_as_they_are_in_the_newest_version_and_from_disk():
    part = load("tfds:waves", "test")
    assert sorted(part.lengths.tolist()) == [2 + n for n in range(9)] and DATASETS["tfds:waves"].version == "10.0.0"
    for row, length, target in zip(part.inputs, part.lengths, part.targets, strict=True):
        np.testing.assert_array_equal(row[:length], SERIES[length - 2])
        assert target[length - 1] == (length - 2) % 4 and not row[length:].any()
    rows = open_reader("tfds:waves", "test", tell=lambda text: None).read([3, 0])
    jax.tree.map(np.testing.assert_array_equal, rows, type(part)(*(array[np.array([3, 0])] for array in part)))
    assert prepare("tfds:waves").name == "10.0.0"  # where it lies
    assert DATASETS["tfds:waves:9.0.0"].output_size == 2


def test_a_run_may_name_it(tmp_path):
    config = Config(ModelConfig("NP", 4), data=DataConfig("tfds:waves", batch_size=4), train=TrainConfig(steps=2))
    summary = train(config, tmp_path / "run", progress=False)
    assert summary.parameters == 4 * 4 * (3 + 4) + 4 * 4 + 4 * 4 + 4  # three features, four cells, four classes
    outputs = [np.asarray(o) for o in _answers(tmp_path / "run")]
    part = load("tfds:waves", "test")
    right = [o.argmax() == target[n - 1] for o, target, n in zip(outputs, part.targets, part.lengths, strict=True)]
    assert summary.test["accuracy"][0] == pytest.approx(np.mean(right))
    (sitting,) = json.loads((tmp_path / "run" / "manifest.json").read_text())["sittings"]
    assert sitting["data_version"] == "10.0.0"


def _answers(run):
    """The last output for every sequence of the test part, one by one."""
    config, params = load_run(run)
    part = load(config.data.name, "test")
    for row, length in zip(part.inputs, part.lengths, strict=True):
        yield apply_network(config.model, params, Inputs(row[:length, None], np.array([length])))[-1, 0]


def test_what_is_not_there_or_not_one_thing_a_class_is_refused(tfds_dir, monkeypatch, tmp_path):
    with pytest.raises(
        DataNotFoundError, match=r"wav/VERSION/dataset_info.json; prepare it with TFDS \(tfds build wav"
    ):
        load("tfds:wav", "test")
    with pytest.raises(
        UsageError, match=r"one class and one text, .*got a \(Text\), b \(Text\), label \(ClassLabel\)"
    ):
        load("tfds:pairs", "test")
    with pytest.raises(UsageError, match=r"expected the parts train and test or validation, got \['train'\]"):
        load("tfds:alone", "test")
    with pytest.raises(DataNotFoundError, match=r"expected .*waves/8.0.0/dataset_info.json; prepare it"):
        load("tfds:waves:8.0.0", "test")
    assert len(load("tfds:secret", "validation").lengths) == 1  # columns of columns are nobody's business
    with pytest.raises(RawDataError, match="'label': expected a class from 0 to 1 in every row, got -1 in 10 of 10"):
        load("tfds:secret", "test")
    with pytest.raises(UsageError, match="1 rows for training leave none for validation"):
        load("tfds:few", "train")
    with pytest.raises(TypeError, match="no view option 'lonkest'; did you mean 'longest'"):
        load("tfds:reviews", "test", lonkest=3)
    with pytest.raises(UnknownName, match="unknown data set 'wavs'"):
        DATASETS["wavs"]
    home = tmp_path / "secret" / "1.0.0"
    shutil.copytree(tfds_dir / "secret" / "1.0.0", home)
    shutil.copytree(home, home.with_name("1.0.0.incompleteA1B2"))
    for part in home.glob("*array_record*"):
        part.unlink()
    for config in ("one", "two"):
        home = tmp_path / "set" / config / "1.0.0"
        home.mkdir(parents=True)
        (home / "dataset_info.json").write_text("{}")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(RawDataError, match="or is damaged .*; prepare it by TFDS with --file_format=array_record"):
        load("tfds:secret", "test")
    with pytest.raises(UsageError, match="several forms; name one: tfds:set/one, tfds:set/two"):
        load("tfds:set", "test")
    with pytest.raises(RawDataError, match="1.0.0: cannot be read as a data set of TFDS .*prepare it again"):
        load("tfds:set/one", "test")
