"""A text is read by streams whose states go on from window to window, and nothing else is lost or read twice."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import numpy_lstm

import lstm_jax.datasets
from lstm_jax.cell.params import gate_view
from lstm_jax.datasets.sequences import take
from lstm_jax.datasets.texts import examples, view
from lstm_jax.names import UsageError
from lstm_jax.tasks.batch import Batch
from lstm_jax.train import divide, load_run, train
from lstm_jax.train.checkpoint import load_checkpoint
from lstm_jax.train.config import Config, DataConfig, DropoutConfig, ModelConfig, OptimizerConfig, TrainConfig
from lstm_jax.train.dynamic import evaluate_dynamically
from lstm_jax.train.network import init_network, run_network
from lstm_jax.train.parallel import build_program
from lstm_jax.train.population import stack_hypers
from lstm_jax.train.program import begin, evaluate, run_chunk, to_host
from lstm_jax.train.source import DATA, load_problem, stream
from lstm_jax.train.step import default_hyper, init_state, make_train_step
from lstm_jax.train.streams import StreamSource, in_streams

SYMBOLS = bytes(range(65))
WINDOW, STREAMS = 6, 3


@pytest.fixture(autouse=True, scope="module")
def text():
    """Data of 400 random symbols, some of them more often than others, in place of the plays."""
    content = bytes(np.random.default_rng(0).binomial(64, 0.3, 400).tolist())

    def made_up(name, split, **options):
        (row,) = examples(content, SYMBOLS, None)[split]
        found = {column: [value] for column, value in row.items()}
        return view(SYMBOLS, found, **{"parts": "90/10", "window": WINDOW, **options})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lstm_jax.datasets, "load", made_up)
        yield content


def tiny(steps=8, trials=1, **changes):
    config = Config(
        ModelConfig("V", 4, embedding=5),
        OptimizerConfig("adam", 0.01, ema=0.9),
        DataConfig("tiny_shakespeare", batch_size=STREAMS, eval_batch_size=2),
        TrainConfig(steps=steps, trials=trials, log_every=4, eval_every=4, checkpoint_every=4),
        DropoutConfig(inputs=0.2, recurrent=0.3, outputs=0.1),
    )
    return dataclasses.replace(config, **changes)


def start(config, seed=0):
    problem = load_problem(config.data)
    return problem, init_state(config, problem, jnp.uint32(seed), default_hyper(config))


def test_every_stream_goes_on_where_it_stopped_and_all_windows_come_once_a_round(text):
    count = 12
    windows = view(SYMBOLS, {"text": [np.frombuffer(text, np.uint8)[:80]], "part": ["train"]}, "90/10", 5)
    source = StreamSource(jax.tree.map(lambda array: array[:count], windows), take, 4)
    plan = np.asarray(source.plan(stream(1, DATA), jnp.int32(0), 2 * count))
    np.testing.assert_array_equal((plan[1:] - plan[:-1]) % count, 1)
    np.testing.assert_array_equal(np.sort(plan[:3], axis=None), np.arange(count))
    pieces = [source.plan(stream(1, DATA), jnp.int32(first), steps) for first, steps in ((0, 5), (5, 1), (6, 18))]
    np.testing.assert_array_equal(np.concatenate(pieces), plan)
    begins = {int(source.plan(stream(seed, DATA), jnp.int32(0), 1)[0, 0]) for seed in range(8)}
    assert len(begins) > 1, "another seed begins elsewhere"
    batch = source.batch(plan[0])
    assert batch.lengths is None and batch.inputs.shape == (5, 4)
    np.testing.assert_array_equal(batch.inputs[:, 2], windows.inputs[plan[0, 2]])


def test_streams_of_a_long_text_begin_equally_far_apart():
    windows = Batch(jax.ShapeDtypeStruct((4_500_000, 20), np.uint8), None, None, None)
    begins = np.sort(StreamSource(windows, None, 512).plan(jax.random.key(0), jnp.int32(0), 1)[0])
    gaps = np.diff([*begins, begins[0] + 4_500_000])
    assert gaps.min() >= 4_500_000 // 512 and gaps.max() <= 4_500_000 // 512 + 1, "B N exceeds 31 bits"


def windows_of(problem, seed, steps):
    plan = problem.train.plan(stream(seed, DATA), jnp.int32(0), steps)
    return [problem.train.batch(item) for item in plan]


@pytest.mark.parametrize("variant", ["V", "GRU"])
def test_windows_one_after_another_are_one_long_unroll(variant):
    """Against the float64 oracle, which reads the whole text at once."""
    model = ModelConfig(variant, 4, embedding=5)
    config = dataclasses.replace(tiny(), model=model, optimizer=OptimizerConfig("sgd", 0.0), dropout=DropoutConfig())
    problem, state = start(config)
    batches = windows_of(problem, 0, 4)
    step = jax.jit(make_train_step(config, problem.loss))
    run = jax.jit(lambda params, batch, carry: run_network(model, params, batch, carry))
    outputs, total = [], 0.0
    for batch in batches:
        outputs.append(run(state.params, batch, state.carry)[0])
        state, metrics = step(state, batch)
        total += float(metrics["nll"].total)
    inputs, targets = (np.concatenate([np.asarray(batch[part]) for batch in batches]) for part in (0, 1))
    params = state.params
    ys, last = numpy_lstm.run(variant, gate_view(variant, params.stack[0][0]), np.asarray(params.embedding)[inputs])
    logits = ys @ np.asarray(params.readout.W, np.float64) + np.asarray(params.readout.b)
    np.testing.assert_allclose(np.concatenate(outputs), logits, atol=1e-5)
    for part in ("c", "y"):
        np.testing.assert_allclose(getattr(state.carry[0], part), getattr(last, part), atol=1e-5)
    chosen = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    assert total == pytest.approx((np.log(np.exp(logits).sum(-1)) - chosen).sum(), rel=1e-5)


def test_the_gradient_ends_where_the_window_begins():
    """The states that were carried are numbers like the inputs: other weights would have made others, unseen."""
    config = tiny(dropout=DropoutConfig())
    problem, state = start(config)
    first, second = windows_of(problem, 0, 2)
    carried = run_network(config.model, state.params, first, state.carry)[1]

    def loss(params, carry):
        outputs, _ = run_network(config.model, params, second, carry)
        return -jnp.take_along_axis(jax.nn.log_softmax(outputs), second.targets[..., None], -1).mean()

    expected = jax.grad(loss)(state.params, carried)
    plain = dataclasses.replace(config, optimizer=OptimizerConfig("sgd", 1.0, 0.0, clip_norm=None))
    begun = init_state(plain, problem, jnp.uint32(0), default_hyper(plain))._replace(carry=carried)
    after, _ = jax.jit(make_train_step(plain, problem.loss))(begun, second)
    jax.tree.map(
        lambda new, old, g: np.testing.assert_allclose(old - new, g, atol=1e-6), after.params, begun.params, expected
    )
    through = jax.grad(lambda params: loss(params, run_network(config.model, params, first, begun.carry)[1]))
    assert not np.allclose(expected.stack[0][0].R, through(state.params).stack[0][0].R), "or nothing was cut"


def test_a_bad_window_changes_nothing_not_even_the_carried_states(assert_same_bits):
    config = tiny()
    problem, state = start(config)
    step = jax.jit(make_train_step(config, problem.loss))
    first, second = windows_of(problem, 0, 2)
    state, _ = step(state, first)
    broken = state._replace(params=state.params._replace(embedding=state.params.embedding.at[:].set(jnp.nan)))
    frozen, _ = step(broken, second)
    assert frozen.diverged and not frozen.active
    assert_same_bits((frozen.params, frozen.carry, frozen.average), (broken.params, broken.carry, broken.average))
    assert_same_bits(step(frozen, second)[0].carry, frozen.carry)


def test_the_mean_of_the_weights_forgets_the_start():
    config = tiny()
    problem, state = start(config)
    step = jax.jit(make_train_step(config, problem.loss))
    mean = np.asarray(state.params.embedding, np.float64)
    for n, batch in enumerate(windows_of(problem, 0, 12)):
        state, _ = step(state, batch)
        decay = min(0.9, (1 + n) / (10 + n))
        mean = decay * mean + (1 - decay) * np.asarray(state.params.embedding)
    np.testing.assert_allclose(state.average.embedding, mean, rtol=1e-5)
    assert not np.allclose(mean, state.params.embedding, rtol=1e-4)


def test_a_resumed_run_is_bitwise_the_run_that_never_stopped(tmp_path, assert_same_bits):
    """States, means and masks of two trials among it."""
    config = tiny(trials=2)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    summary = train(config, whole, progress=False)
    shutil.copytree(whole, cut)
    shutil.rmtree(cut / "checkpoints" / "step_000000008")
    (cut / "summary.json").unlink()
    assert train(config, cut, resume=True, progress=False) == summary
    problem = load_problem(config.data)
    one = build_program(config, problem.loss)
    like = to_host(begin(one, problem, [0, 1], stack_hypers(config, 2, None)), 2)
    (step, trees), (_, again) = (load_checkpoint(path / "checkpoints", like) for path in (whole, cut))
    assert step == 8 and trees.state.carry is not None and np.abs(trees.state.carry[0].c).min() > 0
    assert_same_bits(trees, again)
    assert json.loads((cut / "summary.json").read_text())["steps_run"] == [8, 8]
    best, mean = trees.best.params.embedding, trees.state.average.embedding
    assert (best[trees.best.step == 8] == mean[trees.best.step == 8]).all() and (trees.best.step == 8).any()
    kept = load_run(cut)[1]
    assert_same_bits(kept.embedding, jnp.asarray(trees.best.params.embedding))


def test_a_chunk_in_pieces_is_the_chunk(assert_same_bits):
    config = tiny()
    problem, state = start(config, 3)
    step = make_train_step(config, problem.loss)
    run = jax.jit(lambda state, first, steps: run_chunk(config, step, problem, state, first, steps, 4)[0])
    assert_same_bits(run(run(state, 0, 2), 2, 2), run(state, 0, 4))


@pytest.mark.parametrize("count", [1, 4])
def test_evaluation_counts_every_symbol_once_and_carries_the_states(text, count):
    config = tiny(data=DataConfig("tiny_shakespeare", batch_size=STREAMS, eval_batch_size=count))
    problem, state = start(config)
    assert problem.validation.loss_mask.sum() == 39 and problem.validation.lengths is None
    metrics = evaluate(config, problem.loss, (), state.params, problem.validation)
    numbers = np.frombuffer(text, np.uint8)[360:].astype(np.int32)
    each, total = -(-7 // count) * WINDOW, 0.0
    for first in range(0, 39, each):  # each stream as one long sequence
        piece = jnp.asarray(numbers[first : first + each + 1])[:, None]
        outputs, _ = run_network(config.model, state.params, Batch(piece[:-1], None, None, None))
        total -= jnp.take_along_axis(jax.nn.log_softmax(outputs), piece[1:, :, None], -1).sum()
    assert metrics["nll"].count == 39
    np.testing.assert_allclose(divide(metrics["nll"]), total / 39, rtol=1e-5)


def test_streams_are_padded_behind_the_text_only(text):
    windows = view(SYMBOLS, {"text": [np.frombuffer(text, np.uint8)], "part": ["test"]}, "90/5/5", 4)
    batch = in_streams(windows, 2)
    assert batch.inputs.shape == (3, 4, 2) and batch.loss_mask.sum() == 19
    by_stream = np.asarray(batch.targets).transpose(2, 0, 1)[np.asarray(batch.loss_mask).transpose(2, 0, 1)]
    assert by_stream.tolist() == list(text[381:400])
    assert in_streams(windows, 100).inputs.shape == (1, 4, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": DataConfig("tiny_shakespeare", batch_size=100)}, "has 59 windows of 6, too few for 100 streams"),
        ({"data": DataConfig("tiny_shakespeare", batch_size=3, input_noise=0.1)}, "symbols take no noise"),
        ({"data": DataConfig("tiny_shakespeare", batch_size=3, cuts=2)}, "cuts=2"),
        ({"model": ModelConfig("V", 4, bidirectional=True)}, "model.bidirectional must be off"),
    ],
)
def test_what_a_text_cannot_have_is_refused(changes, message):
    with pytest.raises(UsageError) as caught:
        start(tiny(**changes))
    assert message in str(caught.value)


@pytest.mark.parametrize("way", ["shard_map", "pmap"])
def test_streams_and_masks_are_not_split_over_devices(way, tmp_path):
    config = tiny(train=TrainConfig(parallel=way), data=DataConfig("tiny_shakespeare", batch_size=4))
    with pytest.raises(UsageError, match="does not split dropout's masks"):
        build_program(config, "softmax")
    with pytest.raises(UsageError, match="does not split streams"):
        train(dataclasses.replace(config, dropout=DropoutConfig()), tmp_path / "run", progress=False)


def test_drawn_networks_are_those_of_the_seed():
    config = tiny()
    one, other = (init_network(jax.random.key(seed), config.model, 65, 65) for seed in (0, 1))
    assert not np.array_equal(one.embedding, other.embedding)
    assert float(jnp.abs(one.embedding).max()) <= 0.1


def test_dynamic_evaluation_judges_each_window_before_it_learns_from_it():
    config = tiny()
    problem, state = start(config)
    part = problem.validation
    still = evaluate(config, problem.loss, (), state.params, part)["nll"]
    rates = jnp.float32(0.5), jnp.float32(0.1)
    none, moved = (
        evaluate_dynamically(config, problem.loss, state.params, part, rate, rates[1])["nll"]
        for rate in (jnp.float32(0.0), rates[0])
    )
    np.testing.assert_allclose(none.total, still.total, rtol=1e-5)
    weights, carry, total = state.params, None, 0.0
    for n in range(part.inputs.shape[0]):
        batch = Batch(part.inputs[n], part.targets[n], None, part.loss_mask[n])

        def loss(weights, batch=batch, carry=carry):
            outputs, states = run_network(config.model, weights, batch, carry)
            terms = jnp.take_along_axis(jax.nn.log_softmax(outputs), batch.targets[..., None], -1)[..., 0]
            return -jnp.sum(jnp.where(batch.loss_mask, terms, 0)), states

        (nats, carry), slope = jax.value_and_grad(loss, has_aux=True)(weights)
        total, count = total + nats, batch.loss_mask.sum()
        weights = jax.tree.map(
            lambda w, g, w0, count=count: w - 0.5 * g / count + 0.1 * (w0 - w), weights, slope, state.params
        )
    np.testing.assert_allclose(moved.total, total, rtol=1e-5)
    assert moved.count == 39 and not np.allclose(moved.total, still.total, rtol=1e-5)
