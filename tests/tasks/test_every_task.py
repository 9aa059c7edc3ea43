# long: the tables of examples and of what counts grow with the tasks, and belong beside the promises they feed
"""What every task promises, checked on every task."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_jax.tasks import TASKS, Batch, Task
from lstm_jax.tasks.temporal_order import ALPHABET
from lstm_jax.train.objective import metric_names

EXAMPLES = [
    TASKS["adding"](length=7),
    TASKS["adding"](length=6, longest=11),
    TASKS["adding_1997"](length=20),
    TASKS["adding_1997"](length=30, first_pair="mark_removed"),
    TASKS["temporal_order"](length=20),
    TASKS["temporal_order"](length=30, relevant=3),
    TASKS["copy"](length=3),
    TASKS["copy"](length=1, remember=2, symbols=3),
    TASKS["multiplication"](length=20),
    TASKS["continual_temporal_order"](length=20, sequences=3),
    TASKS["reber"](length=12),
    TASKS["continual_reber"](length=20),
    TASKS["lag_2a"](length=4),
    TASKS["lag_2b"](length=12),
    TASKS["lag_2c"](length=5, distractors=3, longest_extra=12),
    TASKS["two_sequence"](length=20),
    TASKS["spike_delays"](length=30, interval=3, extra=2),
    TASKS["timed_spikes"](length=30, interval=3, extra=2, levels="two"),
    TASKS["periodic"](length=17, period=5, shape="triangle"),
    TASKS["anbn"](length=4),
    TASKS["anbmbman"](length=3),
    TASKS["anbncn"](length=4, shortest=2),
    TASKS["variable_copy"](length=4),
    TASKS["selective_copy"](length=9, remember=5),
    TASKS["time_warp"](length=40, stretch=4),
    TASKS["time_padding"](length=40, stretch=4, variable=False),
    TASKS["parity"](length=6),
    TASKS["parity"](length=5, every_step=True),
    TASKS["even_pairs"](length=5),
    TASKS["cycle_navigation"](length=6, shortest=2),
    TASKS["modular_arithmetic"](length=9),
    TASKS["bucket_sort"](length=5),
    TASKS["group_words"](length=6, group="S4"),
    TASKS["delayed_xor"](length=30),
    TASKS["mnist_1d"](shuffled=True),
    TASKS["mackey_glass"](length=40, horizon=5, washout=20),
    TASKS["lorenz"](length=20),
]
# One compilation a task and batch size; that it equals the plain call is a test of its own.
SAMPLE = jax.jit(lambda task, key, batch_size: task.sample(key, batch_size), static_argnums=(0, 2))
COUNT = 64
EVERY_STEP = {
    "copy", "reber", "continual_reber", "lag_2a", "timed_spikes", "periodic", "anbn", "anbmbman", "anbncn",
    "variable_copy", "group_words",
}  # fmt: skip
"""Tasks whose loss counts every valid step."""


def steps_of(task):
    return np.arange(task.max_length)[:, None]


def after_a_change(task, batch):
    symbols = np.argmax(batch.inputs, axis=-1)
    return np.cumsum(np.diff(symbols, axis=0, prepend=symbols[:1]) != 0, axis=0) > 0


def every_step_or_last(task, batch):
    inside = steps_of(task) < batch.lengths
    return inside if task.every_step else inside & (steps_of(task) == batch.lengths - 1)


COUNTED = {
    "continual_temporal_order": lambda task, batch: batch.inputs[..., ALPHABET.index("B")] == 1,
    "spike_delays": lambda task, batch: (batch.inputs[..., 0] == 1) & (np.arange(task.max_length)[:, None] > 0),
    "selective_copy": lambda task, batch: steps_of(task) >= task.length + 0 * batch.lengths,
    "time_warp": after_a_change,
    "time_padding": lambda task, batch: np.cumsum(batch.inputs[..., -1] == 0, axis=0) > 1,
    "parity": every_step_or_last,
    "bucket_sort": lambda task, batch: batch.inputs[..., -1] == 1,
    **dict.fromkeys(
        ("mackey_glass", "lorenz"), lambda task, batch: steps_of(task) >= task.washout + 0 * batch.lengths
    ),
}
"""Which steps ``(T, B)`` count in other tasks; those not named here or above ask at the last step only."""


def current_symbol(task, batch):
    return np.argmax(batch.inputs, axis=-1)


def first_symbol(task, batch):
    return np.where(steps_of(task) == 0, 1 + np.argmax(batch.inputs, axis=-1), 0)


def symbols_read(task, batch):
    return np.asarray(batch.lengths) + 0 * np.asarray(batch.loss_mask)


CONTEXTS = {
    "copy": lambda task, batch: np.arange(task.max_length)[:, None] >= task.required_lag + 0 * batch.loss_mask,
    "timed_spikes": lambda task, batch: np.asarray(batch.inputs[..., 0]),
    **dict.fromkeys(("reber", "continual_reber", "lag_2a", "anbn", "anbmbman", "anbncn"), current_symbol),
    "time_warp": current_symbol,
    "variable_copy": lambda task, batch: np.where(batch.inputs[..., 0] == 1, 1 + steps_of(task), 0),
    "bucket_sort": lambda task, batch: steps_of(task) + 0 * batch.loss_mask,
    "parity": lambda task, batch: first_symbol(task, batch) if task.every_step else 0 * batch.loss_mask,
    "group_words": first_symbol,
    **dict.fromkeys(("even_pairs", "cycle_navigation", "modular_arithmetic"), symbols_read),
}
"""What the best predictor without memory may know at a step ``(T, B)``, by task; by default nothing."""
FEW_SEQUENCES = {
    "reber", "continual_reber", "lag_2a", "spike_delays", "timed_spikes", "periodic", "anbn", "anbmbman", "anbncn",
    "parity", "even_pairs", "cycle_navigation", "modular_arithmetic", "bucket_sort",
}  # fmt: skip
"""Tasks, as in ``EXAMPLES``, that have so few sequences that they repeat."""
LEAST_STEPS = {
    "reber": 8, "anbn": 3, "anbmbman": 5, "anbncn": 4, "variable_copy": 21, "parity": 2, "even_pairs": 2,
    "cycle_navigation": 2, "modular_arithmetic": 2, "bucket_sort": 2,
}  # fmt: skip
"""Steps of the shortest sequence where ``length`` is a limit from above; elsewhere it is one from below."""
EXACT = sorted(name for name in TASKS if not hasattr(TASKS[name], "solved"))
"""Tasks that a rule can solve; the others are noisy or chaotic and state how far their rule comes in ``solved``."""
each_task = pytest.mark.parametrize("task", EXAMPLES, ids=str)


@each_task
def test_task_keeps_its_promises_of_form(task):
    batch = SAMPLE(task, jax.random.key(3), COUNT)
    shape = (task.max_length, COUNT)
    assert isinstance(task, Task) and isinstance(batch, Batch)
    assert batch.inputs.shape == (*shape, task.input_size) and batch.inputs.dtype == jnp.float32
    assert batch.lengths.shape == (COUNT,) and batch.lengths.dtype == jnp.int32
    assert batch.loss_mask.shape == shape and batch.loss_mask.dtype == jnp.bool_
    form = (shape, jnp.int32) if task.loss == "softmax" else ((*shape, task.output_size), jnp.float32)
    assert set(task.chances) == set(metric_names(task.loss))
    assert (batch.targets.shape, batch.targets.dtype) == form
    assert TASKS[task.name] is type(task) and task.chance == task.chances[task.metric]
    assert hash(task) == hash(dataclasses.replace(task)) and task.summary
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.length = 5


def many(task: Task) -> int:
    """Sequences enough for a distribution; fewer where making one is long work."""
    return 20_000 if task.name in EXACT else 2_000


def score(task: Task, batch: Batch, solved: jax.Array) -> float:
    counted, right = np.asarray(batch.loss_mask), np.asarray(batch.targets)
    apart = np.asarray(solved)[counted].astype(float) - right[counted]
    return float(np.mean(apart == 0) if task.metric == "accuracy" else np.mean(apart**2))


@each_task
def test_solver_by_rule_makes_no_error(task):
    batch = SAMPLE(task, jax.random.key(11), many(task))
    solved = jax.jit(task.solve)(batch)
    assert solved.shape == batch.targets.shape and solved.dtype == batch.targets.dtype
    if task.name in EXACT:
        np.testing.assert_allclose(solved, batch.targets, rtol=0, atol=1e-6)
    else:
        reached = score(task, batch, solved)
        assert reached >= task.solved > task.chance if task.higher_is_better else reached <= task.solved < task.chance


@each_task
def test_solver_reads_neither_targets_nor_padding(task):
    batch = SAMPLE(task, jax.random.key(12), COUNT)
    inside = (np.arange(task.max_length)[:, None] < np.asarray(batch.lengths)[None, :])[..., None]
    hidden = batch._replace(inputs=jnp.where(inside, batch.inputs, jnp.nan), targets=jnp.full_like(batch.targets, 7))
    solve = jax.jit(task.solve)
    answers = batch.targets if task.name in EXACT else solve(batch)
    np.testing.assert_allclose(solve(hidden), answers, rtol=0, atol=1e-6)


def rounding(task):
    """Arithmetic on curves may be fused in another way, as the processor and the program around it allow."""
    return 0 if task.name in EXACT else 1e-5


@pytest.mark.parametrize("task", {type(task).__mro__[1]: task for task in EXAMPLES}.values(), ids=str)
def test_compiled_sample_equals_plain_sample(task):  # one of each family: operation by operation takes seconds
    key = jax.random.key(5)
    for plain, other in zip(task.sample(key, COUNT), SAMPLE(task, key, COUNT), strict=True):
        np.testing.assert_allclose(plain, other, rtol=0, atol=rounding(task))


@each_task
def test_vmap_over_keys_equals_one_by_one(task):
    keys = jax.random.split(jax.random.key(9), 3)
    together = jax.jit(jax.vmap(lambda key: task.sample(key, COUNT)))(keys)
    for n, key in enumerate(keys):
        for alone, row in zip(SAMPLE(task, key, COUNT), together, strict=True):
            np.testing.assert_allclose(alone, row[n], rtol=0, atol=rounding(task))


@each_task
def test_same_key_same_batch_and_other_key_no_sequence_in_common(task):
    def rows(key):
        inputs = np.asarray(SAMPLE(task, key, COUNT).inputs)
        return {inputs[:, b].tobytes() for b in range(COUNT)}

    one, other = jax.random.split(jax.random.key(2))
    assert rows(one) == rows(one)
    tiny = task.name == "copy" and task.remember <= 5  # a tiny alphabet repeats strings by right
    if not tiny and task.name not in FEW_SEQUENCES:
        assert not rows(one) & rows(other)
        assert len(rows(one)) == COUNT


@each_task
def test_mask_and_padding_follow_the_lengths(task):
    batch = jax.tree.map(np.asarray, SAMPLE(task, jax.random.key(6), COUNT))
    steps = np.arange(task.max_length)[:, None]
    padding = steps >= batch.lengths[None, :]
    assert not batch.loss_mask[padding].any() and not batch.inputs[padding].any()
    assert batch.lengths.max() <= task.max_length
    counted = ~padding if task.name in EVERY_STEP else steps == batch.lengths[None, :] - 1
    counted = COUNTED[task.name](task, batch) if task.name in COUNTED else counted
    np.testing.assert_array_equal(batch.loss_mask, counted)


def coin_entropy(shares: np.ndarray) -> float:
    """Sum over outputs, in nats."""
    return -sum(p * math.log(p) for share in shares.astype(float) for p in (share, 1 - share) if p > 0)


def measured(task: Task, batch: Batch) -> dict[str, float]:
    """Each metric of the best predictor that remembers nothing, by counting what a batch holds."""
    mask, targets = np.asarray(batch.loss_mask), np.asarray(batch.targets)
    contexts = CONTEXTS.get(task.name, lambda task, batch: np.zeros(mask.shape, int))(task, batch)
    if task.loss == "squared_error":
        groups = [targets[mask & (contexts == context)] for context in np.unique(contexts[mask])]
        errors = [(answers - answers.mean(axis=0)) ** 2 for answers in groups]
        return {"mse": float(np.concatenate(errors).mean())}
    if task.loss == "bernoulli":
        groups = [targets[mask & (contexts == context)] for context in np.unique(contexts[mask])]
        return {"nll": float(sum(len(legal) * coin_entropy(legal.mean(axis=0)) for legal in groups) / mask.sum())}
    nll = right = 0.0
    for context in np.unique(contexts[mask]):
        answers = targets[mask & (contexts == context)]
        share = np.bincount(answers, minlength=task.output_size) / answers.size
        nll -= answers.size * sum(p * math.log(p) for p in share if p)
        right += answers.size * share.max()
    return {"nll": nll / mask.sum(), "accuracy": right / mask.sum()}


@each_task
def test_chance_agrees_with_monte_carlo(task):
    found = measured(task, SAMPLE(task, jax.random.key(21), many(task)))
    assert set(found) == set(task.chances)
    for metric, value in task.chances.items():
        lucky = metric == "accuracy" and task.name not in EXACT  # the most frequent of ten classes in 2,000 draws
        assert found[metric] == pytest.approx(value, rel=0.12 if lucky else 0.03), metric


@settings(max_examples=8)
@given(name=st.sampled_from(EXACT), length=st.integers(20, 70), extra=st.integers(0, 9), seed=st.integers(0, 99))
def test_any_allowed_length_gives_a_solvable_task(name, length, extra, seed):
    options = {"adding": {"longest": length + extra}, "temporal_order": {"relevant": 2 + extra % 2}}
    task = TASKS[name](length=length, **options.get(name, {}))
    batch = SAMPLE(task, jax.random.key(seed), 8)
    np.testing.assert_allclose(jax.jit(task.solve)(batch), batch.targets, rtol=0, atol=1e-6)
    assert (np.asarray(batch.lengths) >= LEAST_STEPS.get(name, length)).all()
    assert 0 < task.required_lag < task.max_length


@pytest.mark.parametrize("name", sorted(TASKS))
@given(length=st.one_of(st.integers(max_value=0), st.floats(), st.booleans(), st.text(), st.none()))
def test_a_wrong_length_is_refused_with_what_came_and_what_is_expected(name, length):
    with pytest.raises((TypeError, ValueError), match=rf"task '{name}': length must be .*got"):
        TASKS[name](length=length)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adding", {"length": 1}, "length must be >= 2, got 1; pass length=2 or more"),
        ("adding", {"length": 10, "longest": 9}, "longest must be >= 10, got 9"),
        ("adding_1997", {"length": 19}, "length must be >= 20, got 19"),
        ("adding_1997", {"first_pair": "value_zero"}, "did you mean 'value_zeroed'?"),
        ("temporal_order", {"length": 19}, "length must be >= 20"),
        ("temporal_order", {"relevant": 4}, "relevant=4 is unknown; known: 2, 3"),
        ("temporal_order", {"relevant": 2.0}, "relevant must be an integer, got 2.0 of type float"),
        ("copy", {"symbols": 1}, "symbols must be >= 2, got 1"),
        ("copy", {"remember": -1}, "remember must be >= 1, got -1"),
        (
            "multiplication",
            {"first_pair": "value_zeroed"},
            "first_pair='value_zeroed' is unknown; did you mean 'value_one'? known: mark_removed",
        ),
        ("continual_temporal_order", {"sequences": 0}, "sequences must be >= 1, got 0"),
        ("reber", {"length": 8}, "length must be >= 9, got 8"),
        ("lag_2a", {"length": 1}, "length must be >= 2, got 1"),
        ("lag_2c", {"distractors": 0}, "distractors must be >= 1, got 0"),
        ("two_sequence", {"length": 3, "relevant": 3}, "length must be >= 4, got 3"),
        ("two_sequence", {"noise": "after_all"}, "did you mean 'after'?"),
        ("spike_delays", {"length": 11}, "length must be >= 12, got 11"),
        ("timed_spikes", {"levels": 2}, "levels=2 is unknown; known: all, two"),
        ("periodic", {"shape": "sin"}, "shape='sin' is unknown; known: cos, rectangle, triangle"),
        ("anbn", {"length": 3, "shortest": 4}, "length must be >= 4, got 3"),
        ("selective_copy", {"length": 15}, "length must be >= 16, got 15"),
        ("time_warp", {"length": 10}, "length must be >= 11, got 10"),
        ("time_padding", {"variable": 1}, "variable must be True or False, got 1 of type int"),
        ("parity", {"shortest": 41}, "length must be >= 41, got 40"),
        ("parity", {"every_step": "yes"}, "every_step must be True or False, got 'yes'"),
        ("group_words", {"group": "a5"}, "did you mean 'A5'?"),
        ("mnist_1d", {"shuffled": None}, "shuffled must be True or False, got None"),
        ("mackey_glass", {"tau": 18}, "tau=18 is unknown; did you mean '17'? known: 17, 30"),
        ("mackey_glass", {"washout": 17}, "washout must be >= 18, got 17"),
        ("lorenz", {"observed": "z"}, "observed='z' is unknown; did you mean 'xyz'? known: x, xyz"),
    ],
)
def test_wrong_option_says_what_came_and_what_to_do(name, options, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        TASKS[name](**options)
    assert message in str(caught.value) and f"task {name!r}" in str(caught.value)


@pytest.mark.parametrize("batch_size", [0, -3, 2.0, True, "8"])
def test_wrong_batch_size_is_refused(batch_size):
    with pytest.raises((TypeError, ValueError), match="batch_size must be"):
        TASKS["adding"](length=4).sample(jax.random.key(0), batch_size)


def test_traced_batch_size_names_static_argnums():
    with pytest.raises(TypeError, match="static_argnums=1"):
        jax.jit(TASKS["copy"]().sample)(jax.random.key(0), 4)


def test_unknown_task_suggests_the_nearest_name():
    with pytest.raises(KeyError) as caught:
        TASKS["addin"]
    assert str(caught.value).startswith("unknown task 'addin'; did you mean 'adding'? known: adding, ")
    with pytest.raises(KeyError, match=f"known: {', '.join(sorted(TASKS))}"):
        TASKS["zzz"]
    assert "addin" not in TASKS and TASKS.get("addin") is None
