"""Dropout between layers, and what the modules refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import errors as flax_errors
from flax import nnx as flax_nnx
from flax import serialization

import lstm_jax as lj
from lstm_jax.modules import linen, nnx

B, T, I, H = 4, 5, 2, 8  # noqa: E741
XS = jnp.asarray(np.random.default_rng(0).standard_normal((B, T, I)), jnp.float32)


def build(**options):
    return nnx.LSTM(I, H, rngs=flax_nnx.Rngs(0), **options)


def test_dropout_changes_outputs_at_every_call_until_eval():
    lstm = build(num_layers=2, dropout=0.5)
    plain = np.asarray(build(num_layers=2)(XS)[0])
    first, second = (np.asarray(lstm(XS)[0]) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3 and np.abs(first - plain).max() > 1e-3
    np.testing.assert_array_equal(lstm(XS, deterministic=True)[0], plain)
    np.testing.assert_array_equal(flax_nnx.view(lstm, deterministic=True)(XS)[0], plain)
    lstm.eval()
    np.testing.assert_array_equal(lstm(XS)[0], plain)


def test_dropout_masks_are_a_function_of_the_streams_that_are_given():
    lstm = build(num_layers=2, dropout=0.5)
    first, second, other = (lstm(XS, rngs=flax_nnx.Rngs(dropout=seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(np.asarray(first - other)).max() > 1e-3


def test_dropout_drops_the_chosen_part_between_layers_and_keeps_the_mean():
    wide = nnx.LSTM(I, 400, num_layers=2, dropout=0.25, variant="RNN", rngs=flax_nnx.Rngs(0))
    seen = wide.layers.run(nnx.core_params(wide), None, XS, time_major=False, dropout_key=jax.random.key(0))[1][0].y
    plain = wide(XS, deterministic=True)[1][0].y
    np.testing.assert_array_equal(seen, plain)  # states of the layer below are not touched
    first = nnx.core_params(wide)[0][0]
    identity = lj.pack_gates("RNN", {"W_z": jnp.eye(400), "R_z": jnp.zeros((400, 400)), "b_z": jnp.zeros(400)})
    dropped = wide.layers.run(((first,), (identity,)), None, XS, time_major=False, dropout_key=jax.random.key(0))[1][
        1
    ].c  # the pre-activation of the second layer is the dropped output of the first
    kept = np.asarray(dropped) != 0
    assert abs(kept.mean() - 0.75) < 0.05
    np.testing.assert_allclose(np.asarray(dropped)[kept], (np.asarray(plain) / 0.75)[kept], rtol=1e-5)


def test_linen_dropout_needs_a_key_only_when_it_drops():
    variables = linen.LSTM(H, num_layers=2, dropout=0.5).init(jax.random.key(0), XS)
    lstm = linen.LSTM(H, num_layers=2, dropout=0.5)
    plain = linen.LSTM(H, num_layers=2).apply(variables, XS)[0]
    np.testing.assert_array_equal(lstm.apply(variables, XS, deterministic=True)[0], plain)
    dropped = lstm.apply(variables, XS, rngs={"dropout": jax.random.key(1)})[0]
    assert np.abs(np.asarray(dropped - plain)).max() > 1e-3
    with pytest.raises(flax_errors.InvalidRngError, match="dropout"):
        lstm.apply(variables, XS)


def test_deterministic_modules_need_no_dropout_stream():
    lstm = nnx.LSTM(I, H, num_layers=2, deterministic=True, rngs=flax_nnx.Rngs(params=0))
    assert lstm(XS)[0].shape == (B, T, H)
    assert nnx.LSTM(I, H, dropout=0.5, rngs=flax_nnx.Rngs(params=0))(XS)[0].shape == (B, T, H)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "LSTM97"}, "did you mean 'LSTM1997'"),
        ({"num_layers": 0}, "num_layers must be an integer >= 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\).*got 1.0"),
        ({"dropout": -0.1}, r"dropout must be a number in \[0, 1\).*got -0.1"),
        ({"dropout": "a"}, r"dropout must be a number in \[0, 1\).*got 'a'"),
        ({"backend": "fussed"}, "did you mean 'fused'"),
        ({"initializers": "odysey"}, "did you mean 'odyssey'"),
    ],
)
def test_wrong_options_are_refused_by_both_modules(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)(XS)
    with pytest.raises(ValueError, match=message):
        linen.LSTM(H, **options).init(jax.random.key(0), XS)


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
@pytest.mark.parametrize("module", ["LSTM", "LSTMCell"])
def test_a_size_below_1_is_refused_by_the_name_of_its_argument(module, size):
    with pytest.raises(ValueError, match=f"^{module}: hidden_features must be an integer >= 1, got {size}"):
        getattr(nnx, module)(I, size, rngs=flax_nnx.Rngs(0))
    with pytest.raises(ValueError, match=f"^{module}: in_features must be an integer >= 1, got {size}"):
        getattr(nnx, module)(size, H, rngs=flax_nnx.Rngs(0))
    with pytest.raises(ValueError, match=f"^{module}: features must be an integer >= 1, got {size}"):
        getattr(linen, module)(size)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda lstm: lstm(XS[0]), ValueError, r"shape \(5, 2\), expected \(B, T, I\)"),
        (lambda lstm: lstm(XS[0], time_major=True), ValueError, r"expected \(T, B, I\)"),
        (lambda lstm: lstm(XS[..., :1]), ValueError, r"xs with shape \(4, 5, 1\) does not end in the I = 2 features"),
        (
            lambda lstm: lstm(XS, resets=jnp.zeros((T, B), bool)),
            ValueError,
            r"resets has shape \(5, 4\), expected \(B, T\) = \(4, 5\)",
        ),
        (lambda lstm: lstm(jnp.ones((B, T, I), jnp.int32)), TypeError, "floating, got int32"),
        (lambda lstm: lstm(XS, np.array([1, 2, 3, 6])), ValueError, r"lengths\[3\] = 6"),
        (lambda lstm: lstm(XS, np.ones(B)), TypeError, "lengths must be integers"),
        (lambda lstm: lstm(XS, initial_state=lj.initial_state("V", (B,), H)), ValueError, r"write \(state,\)"),
        (lambda lstm: lstm(XS, initial_state=()), ValueError, "0 entries, the stack has 1 layers"),
    ],
)
def test_wrong_inputs_are_refused_with_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call(build())


def test_weights_of_other_sizes_are_not_written():
    lstm, wider = build(), nnx.LSTM(I, H + 1, rngs=flax_nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"has shape \(2, 4, 9\), expected \(2, 4, 8\)"):
        nnx.set_core_params(lstm, nnx.core_params(wider))
    with pytest.raises(ValueError, match="expected"):
        nnx.set_core_params(lstm, nnx.core_params(build(variant="NP")))


@pytest.mark.parametrize(
    ("made", "asked", "found"),
    [
        ({}, {"num_layers": 3}, r"weights of \[1, 1, 1\] directions layer by layer, got \[1\]"),
        ({"num_layers": 2}, {}, r"\[1\] directions layer by layer, got \[1, 1\]"),
        ({"bidirectional": True}, {}, r"\[1\] directions layer by layer, got \[2\]"),
        ({}, {"bidirectional": True}, r"\[2\] directions layer by layer, got \[1\]"),
    ],
)
def test_weights_of_another_depth_or_direction_are_refused(made, asked, found):
    variables = linen.LSTM(H, **made).init(jax.random.key(0), XS)
    with pytest.raises(ValueError, match=found):
        linen.LSTM(H, **asked).apply(variables, XS)
    module = build(**asked)
    module.stack = build(**made).stack
    with pytest.raises(ValueError, match=found):
        module(XS)


def test_weights_restored_as_dictionaries_are_told_how_to_come_back():
    xs = jnp.concatenate([XS] * (H // I), -1)  # I = H: then Flax's own check of shapes has nothing to say
    variables = linen.LSTM(H).init(jax.random.key(0), xs)
    plain = serialization.to_state_dict(variables)
    with pytest.raises(ValueError, match="from_state_dict"):
        linen.LSTM(H).apply(plain, xs)
    again = serialization.from_state_dict(variables, plain)
    np.testing.assert_array_equal(linen.LSTM(H).apply(again, xs)[0], linen.LSTM(H).apply(variables, xs)[0])


def test_weights_of_a_cell_are_told_their_place_in_a_module():
    cell = lj.init_params(jax.random.key(0), "V", I, H)
    with pytest.raises(ValueError, match=r"write \(\(params,\),\)"):
        nnx.set_core_params(build(), cell)
    nnx.set_core_params(build(), ((cell,),))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"backend": "fast"}, ValueError, "unknown backend 'fast'; "),
        ({"remat_chunk": 0}, ValueError, "remat_chunk must be an integer >= 1"),
        ({"dtype": "bf16"}, ValueError, "dtype must be a floating type, such as jnp.bfloat16, or None, got 'bf16'"),
        ({"dtype": jnp.int32}, ValueError, "dtype must be a floating type"),
        ({"bidirectional": "no"}, TypeError, "bidirectional must be True or False, got 'no'"),
    ],
)
def test_wrong_options_are_refused_where_the_module_is_built(options, error, message):
    with pytest.raises(error, match=message):
        build(**options)
    with pytest.raises(error, match=message):
        linen.LSTM(H, **options)
    if "dtype" in options:
        with pytest.raises(error, match=message):
            nnx.LSTMCell(I, H, rngs=flax_nnx.Rngs(0), **options)
        with pytest.raises(error, match=message):
            linen.LSTMCell(H, **options)


@pytest.mark.parametrize("carry", [None, (jnp.zeros((B, H)),) * 2])
def test_a_cell_wants_the_carry_that_it_gives(carry):
    cell = nnx.LSTMCell(I, H, rngs=flax_nnx.Rngs(0))
    with pytest.raises(TypeError, match=r"carry must be a lstm_jax.State\(c, y\), got (tuple|NoneType)"):
        cell(carry, XS[:, 0])
    by_linen = linen.LSTMCell(H)
    variables = by_linen.init(jax.random.key(0), by_linen.initialize_carry(None, (B, I)), XS[:, 0])
    with pytest.raises(TypeError, match=r"write State\(\*carry\)"):
        by_linen.apply(variables, carry, XS[:, 0])


def test_variables_of_another_module_are_named():
    with pytest.raises(KeyError, match="kernel"):
        linen.core_params({"params": {"kernel": XS}})


def test_weights_without_peepholes_are_told_their_variant():
    with pytest.raises(ValueError, match="variant='NP'"):
        nnx.set_core_params(build(), nnx.core_params(build(variant="NP")))


def test_weights_are_written_in_the_type_of_the_module():
    lstm, half = build(), nnx.LSTM(I, H, param_dtype=jnp.bfloat16, rngs=flax_nnx.Rngs(1))
    nnx.set_core_params(lstm, nnx.core_params(half))
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.core_params(lstm))} == {jnp.dtype(jnp.float32)}


def test_dropout_takes_a_stream_as_well_as_streams():
    lstm = build(num_layers=2, dropout=0.5)
    by_stream, by_streams = (
        lstm(XS, rngs=rngs)[0] for rngs in (flax_nnx.Rngs(dropout=3).dropout, flax_nnx.Rngs(dropout=3))
    )
    np.testing.assert_array_equal(by_stream, by_streams)


@pytest.mark.parametrize("rate", [-0.5, 1.0, 3.0, "a", True])
def test_a_stack_refuses_a_rate_that_is_none(rate):
    stack = lj.init_stack(jax.random.key(0), "V", I, H)
    with pytest.raises(ValueError, match=r"dropout must be a number in \[0, 1\)"):
        lj.unroll_stack("V", stack, XS, dropout=rate)


def test_a_bare_key_is_no_stream():
    with pytest.raises(TypeError, match=r"rngs must be nnx.Rngs, such as nnx.Rngs\(dropout=0\), got"):
        build(num_layers=2, dropout=0.5)(XS, rngs=jax.random.key(0))


def test_a_drawn_carry_needs_a_stream():
    with pytest.raises(ValueError, match="give it rngs"):
        nnx.LSTMCell(I, H, rngs=flax_nnx.Rngs(0)).initialize_carry((B, I), carry_init=jax.nn.initializers.normal())


def test_streams_without_dropout_are_no_matter_where_nothing_is_dropped():
    rngs = flax_nnx.Rngs(params=0)
    np.testing.assert_array_equal(build()(XS, rngs=rngs)[0], build()(XS)[0])
    lstm = build(num_layers=2, dropout=0.5)
    np.testing.assert_array_equal(lstm(XS, deterministic=True, rngs=rngs)[0], lstm(XS, deterministic=True)[0])


def test_a_module_with_learned_states_may_be_donated():
    graph, state = flax_nnx.split(build(num_layers=2, bidirectional=True, learn_initial_state=True))
    kept = jax.jit(lambda state: jax.tree.map(lambda leaf: leaf + 1.0, state), donate_argnums=0)(state)
    assert flax_nnx.merge(graph, kept)(XS)[0].shape == (B, T, 2 * H)


def test_packed_sequences_do_not_begin_in_a_learned_state():
    lstm, marks = build(learn_initial_state=True), jnp.zeros((B, T), bool).at[:, 2].set(True)
    with pytest.raises(ValueError, match="a packed sequence begins blank"):
        lstm(XS, resets=marks)
    states = lstm(XS)[1]
    assert lstm(XS, resets=marks, initial_state=states)[0].shape == (B, T, H)


def test_weights_that_came_back_as_lists_are_written():
    first, second = build(num_layers=2), nnx.LSTM(I, H, num_layers=2, rngs=flax_nnx.Rngs(1))
    nnx.set_core_params(second, [list(layer) for layer in nnx.core_params(first)])
    np.testing.assert_array_equal(second(XS)[0], first(XS)[0])
