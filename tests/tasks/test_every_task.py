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

EXAMPLES = [
    TASKS["adding"](length=7),
    TASKS["adding"](length=6, longest=11),
    TASKS["adding_1997"](length=20),
    TASKS["adding_1997"](length=30, first_pair="mark_removed"),
    TASKS["temporal_order"](length=20),
    TASKS["temporal_order"](length=30, relevant=3),
    TASKS["copy"](length=3),
    TASKS["copy"](length=1, remember=2, symbols=3),
]
# One compilation a task and batch size; that it equals the plain call is a test of its own.
SAMPLE = jax.jit(lambda task, key, batch_size: task.sample(key, batch_size), static_argnums=(0, 2))
COUNT = 64
EVERY_STEP = {"copy"}
"""Tasks whose loss counts every valid step; the others ask at the last step only."""
CONTEXTS = {
    "copy": lambda task, batch: np.arange(task.max_length)[:, None] >= task.required_lag + 0 * batch.loss_mask,
}
"""What the best predictor without memory may know at a step ``(T, B)``, by task; by default nothing."""
each_task = pytest.mark.parametrize("task", EXAMPLES, ids=str)


@each_task
def test_task_keeps_its_promises_of_form(task):
    batch = SAMPLE(task, jax.random.key(3), COUNT)
    shape = (task.max_length, COUNT)
    assert isinstance(task, Task) and isinstance(batch, Batch)
    assert batch.inputs.shape == (*shape, task.input_size) and batch.inputs.dtype == jnp.float32
    assert batch.lengths.shape == (COUNT,) and batch.lengths.dtype == jnp.int32
    assert batch.loss_mask.shape == shape and batch.loss_mask.dtype == jnp.bool_
    targets = {"squared_error": ((*shape, task.output_size), jnp.float32), "softmax": (shape, jnp.int32)}[task.loss]
    assert (batch.targets.shape, batch.targets.dtype) == targets
    assert TASKS[task.name] is type(task) and task.chance == task.chances[task.metric]
    assert hash(task) == hash(dataclasses.replace(task)) and task.summary
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.length = 5


@each_task
def test_solver_by_rule_makes_no_error(task):
    batch = SAMPLE(task, jax.random.key(11), 20_000)
    solved = jax.jit(task.solve)(batch)
    assert solved.shape == batch.targets.shape and solved.dtype == batch.targets.dtype
    np.testing.assert_allclose(solved, batch.targets, rtol=0, atol=1e-6)


@each_task
def test_solver_reads_neither_targets_nor_padding(task):
    batch = SAMPLE(task, jax.random.key(12), COUNT)
    inside = (np.arange(task.max_length)[:, None] < np.asarray(batch.lengths)[None, :])[..., None]
    hidden = batch._replace(inputs=jnp.where(inside, batch.inputs, jnp.nan), targets=jnp.full_like(batch.targets, 7))
    np.testing.assert_allclose(jax.jit(task.solve)(hidden), batch.targets, rtol=0, atol=1e-6)


@each_task
def test_compiled_sample_equals_plain_sample(task):
    key = jax.random.key(5)
    for plain, other in zip(task.sample(key, COUNT), SAMPLE(task, key, COUNT), strict=True):
        np.testing.assert_array_equal(plain, other)


@each_task
def test_vmap_over_keys_equals_one_by_one(task):
    keys = jax.random.split(jax.random.key(9), 3)
    together = jax.jit(jax.vmap(lambda key: task.sample(key, COUNT)))(keys)
    for n, key in enumerate(keys):
        for alone, row in zip(SAMPLE(task, key, COUNT), together, strict=True):
            np.testing.assert_array_equal(alone, row[n])


@each_task
def test_same_key_same_batch_and_other_key_no_sequence_in_common(task):
    def rows(key):
        inputs = np.asarray(SAMPLE(task, key, COUNT).inputs)
        return {inputs[:, b].tobytes() for b in range(COUNT)}

    one, other = jax.random.split(jax.random.key(2))
    assert rows(one) == rows(one)
    if task.name != "copy" or task.remember > 5:  # a tiny alphabet repeats strings by right
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
    np.testing.assert_array_equal(batch.loss_mask, counted)


def measured(task: Task, batch: Batch) -> dict[str, float]:
    """Each metric of the best predictor that remembers nothing, by counting what a batch holds."""
    mask, targets = np.asarray(batch.loss_mask), np.asarray(batch.targets)
    contexts = CONTEXTS.get(task.name, lambda task, batch: np.zeros(mask.shape, int))(task, batch)
    if task.loss == "squared_error":
        groups = [targets[mask & (contexts == context)] for context in np.unique(contexts[mask])]
        errors = [(answers - answers.mean(axis=0)) ** 2 for answers in groups]
        return {"mse": float(np.concatenate(errors).mean())}
    nll = right = 0.0
    for context in np.unique(contexts[mask]):
        answers = targets[mask & (contexts == context)]
        share = np.bincount(answers, minlength=task.output_size) / answers.size
        nll -= answers.size * sum(p * math.log(p) for p in share if p)
        right += answers.size * share.max()
    return {"nll": nll / mask.sum(), "accuracy": right / mask.sum()}


@each_task
def test_chance_agrees_with_monte_carlo(task):
    found = measured(task, SAMPLE(task, jax.random.key(21), 20_000))
    assert set(found) == set(task.chances)
    for metric, value in task.chances.items():
        assert found[metric] == pytest.approx(value, rel=0.03), metric


@settings(max_examples=8)
@given(
    name=st.sampled_from(sorted(TASKS)), length=st.integers(20, 70), extra=st.integers(0, 9), seed=st.integers(0, 99)
)
def test_any_allowed_length_gives_a_solvable_task(name, length, extra, seed):
    options = {"adding": {"longest": length + extra}, "temporal_order": {"relevant": 2 + extra % 2}}.get(name, {})
    task = TASKS[name](length=length, **options)
    batch = SAMPLE(task, jax.random.key(seed), 8)
    np.testing.assert_allclose(jax.jit(task.solve)(batch), batch.targets, rtol=0, atol=1e-6)
    assert (np.asarray(batch.lengths) >= length).all() and 0 < task.required_lag < task.max_length


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
        ("temporal_order", {"relevant": 4}, "relevant must be one of 2, 3, got 4"),
        ("temporal_order", {"relevant": 2.0}, "relevant must be an integer, got 2.0 of type float"),
        ("copy", {"symbols": 1}, "symbols must be >= 2, got 1"),
        ("copy", {"remember": -1}, "remember must be >= 1, got -1"),
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
    with pytest.raises(KeyError, match="known: adding, adding_1997, copy, temporal_order"):
        TASKS["zzz"]
    assert "addin" not in TASKS and TASKS.get("addin") is None
