"""The Flax modules hold the weights of the core and give its numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as flax_linen
from flax import nnx as flax_nnx
from jax import export
from oracles import numpy_lstm

import lstm_jax as lj
from lstm_jax.modules import linen, nnx

B, T, I, H = 3, 5, 2, 4  # noqa: E741
LENGTHS = np.array([5, 0, 3])


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def module(seed=0, **options):
    """An nnx.LSTM whose every weight is random, biases and peepholes too."""
    lstm = nnx.LSTM(I, H, rngs=flax_nnx.Rngs(seed), **options)
    leaves, structure = jax.tree.flatten(nnx.core_params(lstm))
    noise = [0.5 * normal(seed + n, *leaf.shape).astype(leaf.dtype) for n, leaf in enumerate(leaves)]
    nnx.set_core_params(lstm, jax.tree.unflatten(structure, noise))
    return lstm


def close(ours, theirs, atol=1e-6):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol, rtol=0), ours, theirs)


def swap(array):
    return jnp.swapaxes(array, 0, 1)


@pytest.mark.parametrize("variant", [*numpy_lstm.NINE, "LSTM1997", "GRU"])
def test_nnx_linen_and_core_give_the_same_numbers(variant):
    options = {"variant": variant, "num_layers": 2, "bidirectional": True}
    lstm, xs = module(**options), normal(1, B, T, I)
    stack = nnx.core_params(lstm)
    ys, states = flax_nnx.jit(lambda lstm, xs: lstm(xs, LENGTHS))(lstm, xs)
    others = jax.jit(linen.LSTM(H, **options).apply)(linen.core_variables(stack), xs, LENGTHS)
    core = jax.jit(lambda stack, xs: lj.unroll_stack(variant, stack, xs, LENGTHS))(stack, swap(xs))
    assert ys.shape == (B, T, 2 * H)
    close((ys, states), others, atol=0)
    close((swap(ys), states), core, atol=0)


@pytest.mark.parametrize("name", ["V", "FGR"])
def test_one_layer_has_the_values_of_the_papers_equations(name):
    lstm, xs = module(variant=name), normal(2, B, T, I)
    ys, (state,) = lstm(xs, LENGTHS)
    weights = lj.gate_view(name, nnx.core_params(lstm)[0][0])
    theirs, final = numpy_lstm.run(name, weights, np.asarray(swap(xs)), LENGTHS)
    close(swap(ys), theirs)
    close((state.c, state.y), (final.c, final.y))


def test_gradients_of_nnx_and_linen_are_those_of_the_core():
    lstm, xs, d_ys = module(num_layers=2), normal(3, B, T, I), normal(4, B, T, H)
    stack = nnx.core_params(lstm)

    def core_loss(stack):
        return jnp.sum(lj.unroll_stack("V", stack, swap(xs), LENGTHS)[0] * swap(d_ys))

    def linen_loss(variables):
        return jnp.sum(linen.LSTM(H, num_layers=2).apply(variables, xs, LENGTHS)[0] * d_ys)

    expected = jax.jit(jax.grad(core_loss))(stack)
    close(linen.core_params(jax.jit(jax.grad(linen_loss))(linen.core_variables(stack))), expected)
    by_nnx = flax_nnx.jit(flax_nnx.grad(lambda lstm: jnp.sum(lstm(xs, LENGTHS)[0] * d_ys)))(lstm)
    close(jax.tree.leaves(by_nnx), jax.tree.leaves(flax_nnx.state(_filled(lstm, expected), flax_nnx.Param)))


def _filled(lstm, stack):
    copy = flax_nnx.clone(lstm)
    nnx.set_core_params(copy, stack)
    return copy


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "learn_initial_state": True}])
def test_linen_init_builds_the_structure_of_nnx_and_the_core(options):
    xs = normal(0, B, T, I)
    variables = linen.LSTM(H, variant="FGR", **options).init(jax.random.key(0), xs)
    lstm = nnx.LSTM(I, H, variant="FGR", rngs=flax_nnx.Rngs(0), **options)
    sizes = {name: options[name] for name in ("num_layers", "bidirectional") if name in options}
    core = lj.init_stack(jax.random.key(0), "FGR", I, H, **sizes)
    trees = (linen.core_params(variables), nnx.core_params(lstm), core)
    shapes = [jax.tree.map(jnp.shape, tree) for tree in trees]
    assert shapes[0] == shapes[1] == shapes[2]
    assert set(variables["params"]) == ({"stack", "start"} if "learn_initial_state" in options else {"stack"})


@pytest.mark.parametrize("initializers", ["odyssey", {"R": jax.nn.initializers.zeros}])
def test_init_options_reach_the_weights(initializers):
    options = {"forget_bias": 3.0, "initializers": initializers}
    by_linen = linen.LSTM(H, **options).init(jax.random.key(0), normal(0, B, T, I))
    for (params,) in (
        *nnx.core_params(nnx.LSTM(I, H, rngs=flax_nnx.Rngs(0), **options)),
        *linen.core_params(by_linen),
    ):
        view = lj.gate_view("V", params)
        close(view["b_f"], jnp.full((H,), 3.0))
        assert float(jnp.abs(view["R_z"]).max()) < (0.6 if initializers == "odyssey" else 1e-9)


def test_time_major_changes_the_order_of_the_axes_and_nothing_else():
    lstm, xs = module(), normal(5, B, T, I)
    resets = jnp.asarray(np.random.default_rng(0).random((B, T)) < 0.3)
    ys, states = lstm(xs, LENGTHS, resets=resets)
    others = lstm(swap(xs), LENGTHS, resets=swap(resets), time_major=True)
    close((swap(ys), states), others, atol=0)


def test_resets_make_packed_sequences_equal_to_one_by_one():
    lstm, a, b = module(bidirectional=True), normal(6, 1, 2, I), normal(7, 1, 3, I)
    resets = jnp.asarray([[True, False, True, False, False]])
    ys, _ = lstm(jnp.concatenate([a, b], axis=1), resets=resets)
    close(ys, jnp.concatenate([lstm(a)[0], lstm(b)[0]], axis=1))


def test_bidirectional_is_each_direction_alone():
    lstm, xs = module(bidirectional=True), normal(8, B, T, I)
    ys, ((ahead, back),) = lstm(xs, LENGTHS)
    for params, final, reverse, part in zip(
        nnx.core_params(lstm)[0], (ahead, back), (False, True), jnp.split(ys, 2, axis=-1), strict=True
    ):
        close((part, final), lj.unroll("V", params, xs, LENGTHS, reverse=reverse, time_major=False))


def test_final_states_continue_the_sequence():
    lstm, xs = module(num_layers=2), normal(9, B, T, I)
    whole, end = lstm(xs)
    first, middle = lstm(xs[:, :2])
    second, states = lstm(xs[:, 2:], initial_state=middle)
    close((jnp.concatenate([first, second], axis=1), states), (whole, end))


@pytest.mark.parametrize(
    "options", [{"num_layers": 2}, {"bidirectional": True, "variant": "FGR", "param_dtype": jnp.bfloat16}]
)
def test_blank_states_are_what_no_initial_state_means(options):
    lstm, xs = nnx.LSTM(I, H, rngs=flax_nnx.Rngs(0), **options), normal(16, B, T, I)
    blank = lstm.blank_states(B)
    close(lstm(xs, initial_state=blank), lstm(xs), atol=0)
    by_linen = linen.LSTM(H, **options).blank_states(B)
    kinds = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), states) for states in (blank, by_linen, lstm(xs)[1])]
    assert kinds[0] == kinds[1] == kinds[2]


def test_a_module_reads_step_by_step_in_a_scan():
    lstm, xs = module(num_layers=2), normal(17, B, T, I)

    def step(states, x):
        ys, states = lstm(x[:, None], initial_state=states)
        return states, ys[:, 0]

    states, ys = jax.lax.scan(step, lstm.blank_states(B), swap(xs))
    close((swap(ys), states), lstm(xs))


def test_exported_programs_take_weights_and_states():
    lstm = linen.LSTM(H, backend="fused")
    xs = normal(18, B, T, I)
    variables = lstm.init(jax.random.key(0), xs)
    states = jax.tree.map(lambda leaf: normal(19, *leaf.shape), lstm.blank_states(B))
    program = jax.jit(lambda variables, xs, states: lstm.apply(variables, xs, initial_state=states))
    again = export.deserialize(export.export(program)(variables, xs, states).serialize())
    close(again.call(variables, xs, states), program(variables, xs, states), atol=0)


def test_batching_and_padding_never_change_a_result():
    lstm, xs = module(num_layers=2, bidirectional=True), normal(10, B, T, I)
    dirty = jnp.where(jnp.arange(T)[None, :, None] < jnp.asarray(LENGTHS)[:, None, None], xs, jnp.nan)
    ys, _ = lstm(dirty, LENGTHS)
    for row, length in enumerate(LENGTHS):
        close(ys[row : row + 1, :length], lstm(xs[row : row + 1, :length])[0])
        assert not np.any(ys[row, length:])


def test_split_and_merge_keep_the_numbers():
    lstm, xs = module(num_layers=2, dropout=0.5, deterministic=True), normal(11, B, T, I)
    graph, state = flax_nnx.split(lstm)
    close(flax_nnx.merge(graph, state)(xs), lstm(xs), atol=0)


def test_an_nnx_optimizer_moves_every_weight():
    lstm, xs = module(bidirectional=True, learn_initial_state=True), normal(12, B, T, I)
    before = flax_nnx.state(flax_nnx.clone(lstm), flax_nnx.Param)
    optimizer = flax_nnx.Optimizer(lstm, optax.sgd(0.1), wrt=flax_nnx.Param)
    grads = flax_nnx.grad(lambda lstm: jnp.sum(lstm(xs)[0] ** 2))(lstm)
    optimizer.update(lstm, grads)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), before, flax_nnx.state(lstm, flax_nnx.Param))
    assert min(jax.tree.leaves(moved)) > 0


@pytest.mark.parametrize("variant", ["V", "FGR", "GRU"])
@pytest.mark.parametrize("lengths", [None, np.array([5, 1, 3])])
def test_a_cell_in_flax_rnn_is_the_module(variant, lengths):
    lstm, xs = module(variant=variant), normal(13, B, T, I)
    params = nnx.core_params(lstm)[0][0]
    ys, (state,) = lstm(xs, lengths)
    cell = nnx.LSTMCell(I, H, variant=variant, rngs=flax_nnx.Rngs(0))
    nnx.set_core_params(cell, params)
    by_nnx = flax_nnx.RNN(cell)(xs, seq_lengths=lengths, return_carry=True)
    variables = {"params": {"cell": linen.core_variables(params)["params"]}}
    rnn = flax_linen.RNN(linen.LSTMCell(H, variant=variant))
    by_linen = rnn.apply(variables, xs, seq_lengths=lengths, return_carry=True)
    for carry, outputs in (by_nnx, by_linen):
        valid = jnp.arange(T)[None, :, None] < jnp.asarray([T] * B if lengths is None else lengths)[:, None, None]
        close(jnp.where(jnp.broadcast_to(valid, outputs.shape), outputs, 0.0), ys)
        close(carry, state)


def test_a_linen_cell_initialises_itself_inside_rnn():
    variables = flax_linen.RNN(linen.LSTMCell(H)).init(jax.random.key(0), normal(0, B, T, I))
    assert linen.core_params(variables).W.shape == (I, 4, H)
    assert linen.core_params(variables["params"]["cell"]).W.shape == (I, 4, H)


def test_a_cell_of_two_types_carries_the_state_of_its_products(x64):
    """The carry of Flax's RNN is the cell's own, so it has to fit what the cell computes in."""
    xs = normal(15, B, T, I)
    by_linen = flax_linen.RNN(linen.LSTMCell(H, dtype=jnp.float64))
    assert by_linen.apply(by_linen.init(jax.random.key(0), xs), xs).dtype == jnp.float64
    by_nnx = nnx.LSTMCell(I, H, param_dtype=jnp.float64, dtype=jnp.float32, rngs=flax_nnx.Rngs(0))
    assert flax_nnx.RNN(by_nnx)(xs).dtype == jnp.float32


def test_an_nnx_cell_may_draw_its_first_carry():
    cell = nnx.LSTMCell(I, H, variant="FGR", rngs=flax_nnx.Rngs(0))
    blank = cell.initialize_carry((B, I))
    drawn = cell.initialize_carry((B, I), flax_nnx.Rngs(0), jax.nn.initializers.normal())
    assert jax.tree.map(jnp.shape, blank) == jax.tree.map(jnp.shape, drawn)
    assert not np.any(blank.c) and np.all(drawn.c) and np.all(drawn.gates)


def test_a_learned_initial_state_is_where_every_sequence_starts():
    lstm, xs = module(bidirectional=True, learn_initial_state=True), normal(14, B, T, I)
    variables = linen.LSTM(H, bidirectional=True, learn_initial_state=True).init(jax.random.key(0), xs)
    start = jax.tree.map(lambda leaf: normal(15, *leaf.shape), variables["params"]["start"])
    jax.tree.map(lambda param, new: param.set_value(new), lstm.start, start, is_leaf=nnx._is_variable)
    given = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (B, *leaf.shape)), start)
    stack = nnx.core_params(lstm)
    expected = lj.unroll_stack("V", stack, swap(xs), LENGTHS, given)
    ys, states = lstm(xs, LENGTHS)
    close((swap(ys), states), expected)
    by_linen = linen.LSTM(H, bidirectional=True, learn_initial_state=True)
    close(by_linen.apply({"params": {"stack": stack, "start": start}}, xs, LENGTHS), (ys, states))
    close(lstm(xs, initial_state=jax.tree.map(jnp.zeros_like, given))[0], module(bidirectional=True)(xs)[0])


def test_bfloat16_products_keep_a_float32_state_near_the_float32_result():
    lstm, exact = module(num_layers=2, dtype=jnp.bfloat16, learn_initial_state=True), module(num_layers=2)
    xs = normal(16, B, T, I)
    ys, states = lstm(xs)
    assert {leaf.dtype for leaf in jax.tree.leaves(states)} == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.core_params(lstm))} == {jnp.dtype("float32")}
    error = float(jnp.abs(ys - exact(xs)[0]).max())
    assert 1e-5 < error < 3e-2
    by_linen = linen.LSTM(H, num_layers=2, dtype=jnp.bfloat16)
    close(by_linen.apply(linen.core_variables(nnx.core_params(lstm)), xs)[0], ys)


def test_bfloat16_parameters_initialise():
    lstm = nnx.LSTM(I, H, param_dtype=jnp.bfloat16, rngs=flax_nnx.Rngs(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.core_params(lstm))} == {jnp.dtype("bfloat16")}
    assert np.isfinite(np.asarray(lstm(normal(0, B, T, I))[0])).all()
