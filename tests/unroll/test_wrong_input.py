"""Wrong input is refused with what came, what was expected, and what to do."""

from __future__ import annotations

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.unroll import kernel_is_here

T, B, I, H = 5, 2, 3, 4
PARAMS = lj.init_params(jax.random.key(0), "V", I, H)
XS = jnp.zeros((T, B, I))
BLANK = lj.initial_state("V", (B,), H)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"xs": XS[0]}, ValueError, "3 axes, time, batch and features, got shape (2, 3)"),
        (
            {"xs": jnp.zeros((T, B, 7))},
            ValueError,
            "xs with shape (5, 2, 7) does not end in the I = 3 features of the weights",
        ),
        ({"xs": jnp.zeros((T, B, I), int)}, TypeError, "xs must be floating, got int32"),
        ({"lengths": [5.0, 2.0]}, TypeError, "lengths must be integers, got float"),
        ({"lengths": [5, -1]}, ValueError, "lengths[1] = -1 is outside 0..T, T = 5"),
        ({"lengths": jnp.array([6, 1])}, ValueError, "lengths[0] = 6 is outside 0..T, T = 5"),
        ({"lengths": [5, 2, 1]}, ValueError, "lengths has shape (3,), expected (2,)"),
        (
            {"initial_state": BLANK._replace(c=jnp.zeros((3, H)))},
            ValueError,
            "initial_state.c has shape (3, 4), expected (2, 4)",
        ),
        (
            {"initial_state": BLANK._replace(y=jnp.zeros((B, 9)))},
            ValueError,
            "initial_state.y has shape (2, 9), expected (2, 4)",
        ),
        ({"initial_state": BLANK._replace(c=BLANK.c.astype(jnp.bfloat16))}, ValueError, "initial_state.c is bfloat16"),
        ({"initial_state": BLANK._replace(gates=jnp.zeros((B, 3, H)))}, ValueError, "initial_state.gates is given"),
        ({"initial_state": (BLANK.c, BLANK.y)}, TypeError, "must be lstm_jax.State(c=..., y=...), got tuple"),
        ({"resets": jnp.zeros((T, B))}, TypeError, "resets must be bool, got float32"),
        ({"resets": jnp.zeros((B, T), bool)}, ValueError, "resets has shape (2, 5), expected (T, B) = (5, 2)"),
        (
            {"resets": jnp.zeros((T, B), bool), "xs": jnp.zeros((B, T, I)), "time_major": False},
            ValueError,
            "resets has shape (5, 2), expected (B, T) = (2, 5)",
        ),
        ({"reverse": 1}, TypeError, "reverse must be True or False, got 1"),
        (
            {"params": PARAMS._replace(R=jnp.ones(PARAMS.R.shape, int))},
            TypeError,
            "params.R is int32, weights are floating: cast it",
        ),
        (
            {"params": jax.tree.map(lambda a: a[None], PARAMS)},
            ValueError,
            "params.W must be (I, G, n), got (1, 3, 4, 4): run a trial axis with jax.vmap",
        ),
        ({"backend": "fuse"}, ValueError, "unknown backend 'fuse'; did you mean 'fused'?"),
        ({"variant": "NFGG"}, ValueError, "unknown variant 'NFGG'; did you mean 'NFG'?"),
        ({"variant": "NFG"}, ValueError, "params.W has shape (3, 4, 4), variant NFG with I=3, H=4 has (3, 3, 4)"),
        ({"variant": 3}, TypeError, "a variant is a Variant or one of its names, got int"),
        ({"params": {"W": 1}}, TypeError, "params must be lstm_jax.Params"),
        ({"remat_chunk": 0}, ValueError, "remat_chunk must be an integer >= 1, got 0"),
    ],
)
def test_unroll_names_what_does_not_fit(change, error, message):
    arguments = {"variant": "V", "params": PARAMS, "xs": XS, **change}
    with pytest.raises(error, match=re.escape(message)):
        lj.unroll(**arguments)


def test_a_step_refuses_weights_of_many_trials():
    params = jax.tree.map(lambda a: jnp.stack([a] * B), PARAMS)
    with pytest.raises(ValueError, match=re.escape("got (2, 3, 4, 4): run a trial axis with jax.vmap")):
        lj.lstm_step("V", params, BLANK, XS[0])


def test_batch_of_the_state_is_checked_against_the_batch_of_the_inputs():
    with pytest.raises(ValueError, match=re.escape("initial_state.c has shape (3, 4), expected (2, 4)")):
        lj.unroll("V", PARAMS, XS, initial_state=lj.initial_state("V", (3,), H))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("forget_gate", "couple", "forget_gate='couple' is unknown; did you mean 'coupled'?"),
        ("input_gate", "learnt", "input_gate='learnt' is unknown; did you mean 'learned'?"),
        ("block_output", "tan", "block_output='tan' is unknown; did you mean 'tanh'?"),
        ("block_size", 0, "block_size must be an integer >= 1, got 0"),
    ],
)
def test_a_variant_refuses_unknown_names(field, value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        dataclasses.replace(lj.VARIANTS["V"], **{field: value})


def test_a_coupled_gate_needs_a_gate_to_follow():
    with pytest.raises(ValueError, match="follows the input gate"):
        dataclasses.replace(lj.VARIANTS["CIFG"], input_gate="open")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be an integer >= 1, got 0"),
        ({"input_size": -1}, "input_size must be an integer >= 1, got -1"),
        ({"hidden_size": 2.0}, "hidden_size must be an integer >= 1, got 2.0"),
        ({"dtype": jnp.int32}, "dtype must be a floating type, got int32"),
        ({"initializers": "orthogonal"}, "unknown initializers 'orthogonal'"),
        ({"initializers": {"W_k": jnp.zeros}}, "no weight 'W_k' here"),
        (
            {"variant": dataclasses.replace(lj.VARIANTS["V"], block_size=3)},
            "4 cells do not divide into blocks of 3: take a multiple of block_size=3",
        ),
    ],
)
def test_init_params_names_what_does_not_fit(change, message):
    arguments = {"key": jax.random.key(0), "variant": "V", "input_size": I, "hidden_size": H, **change}
    with pytest.raises(ValueError, match=re.escape(message)):
        lj.init_params(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W_i": None}, "weight 'W_i' of variant V is missing, shape (3, 4)"),
        ({"W_ii": np.zeros((3, 4))}, "variant V has no weight 'W_ii'"),
        ({"p_o": np.zeros(5)}, "p_o has shape (5,), expected (4,)"),
        ({"W_z": None}, "W_z with shape (I, H) is missing"),
    ],
)
def test_pack_gates_names_what_does_not_fit(change, message):
    mapping = {k: v for k, v in {**lj.gate_view("V", PARAMS), **change}.items() if v is not None}
    with pytest.raises(ValueError, match=re.escape(message)):
        lj.pack_gates("V", mapping)


def test_lengths_under_jit_need_no_values():
    run = jax.jit(lambda lengths: lj.unroll("V", PARAMS, XS, lengths)[0])
    assert run(jnp.array([3, 5])).shape == (T, B, H)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"variant": "NP"}, ValueError, "params.p has shape (3, 4), variant NP with I=3, H=4 has None"),
        ({"variant": "NIG"}, ValueError, "params.W has shape (3, 4, 4), variant NIG"),
        ({"x": jnp.zeros((B, I), int)}, TypeError, "x must be floating, got int32"),
        ({"x": jnp.zeros((B, 2))}, ValueError, "x with shape (2, 2) does not end in the I = 3 features"),
        ({"x": jnp.zeros((1, I))}, ValueError, "state.c has shape (2, 4), expected (1, 4)"),
        ({"x": jnp.zeros((T, B, I))}, ValueError, "state.c has shape (2, 4), expected (5, 2, 4)"),
        ({"state": BLANK._replace(y=BLANK.y.astype(jnp.bfloat16))}, ValueError, "state.y is bfloat16"),
        ({"state": BLANK._replace(y=jnp.zeros((B, 3)))}, ValueError, "state.y has shape (2, 3), expected (2, 4)"),
        ({"state": (BLANK.c, BLANK.y)}, TypeError, "state must be lstm_jax.State(c=..., y=...), got tuple"),
    ],
)
def test_a_single_step_names_what_does_not_fit(change, error, message):
    arguments = {"variant": "V", "params": PARAMS, "state": BLANK, "x": XS[0], **change}
    with pytest.raises(error, match=re.escape(message)):
        lj.lstm_step(**arguments)


def test_a_cell_with_gate_recurrence_wants_the_gates_of_the_step_before():
    params = lj.init_params(jax.random.key(0), "FGR", I, H)
    with pytest.raises(ValueError, match=re.escape("state.gates is missing; variant FGR expects (2, 3, 4)")):
        lj.lstm_step("FGR", params, BLANK, XS[0])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_stack_refuses_one_state_for_all_its_layers(layers):
    stack = lj.init_stack(jax.random.key(0), "V", I, H, num_layers=layers)
    with pytest.raises(ValueError, match=re.escape("is one State, expected a tuple over layers of State")):
        lj.unroll_stack("V", stack, XS, initial_state=BLANK)


@pytest.mark.parametrize("stack", [PARAMS, (PARAMS,)], ids=["params", "a layer without directions"])
def test_a_stack_of_bare_weights_is_told_how_to_hold_them(stack):
    with pytest.raises(TypeError, match=re.escape("write ((params,),) for one layer")):
        lj.unroll_stack("V", stack, XS)


def test_a_stack_has_a_layer():
    with pytest.raises(ValueError, match="the stack has no layers, expected at least one: init_stack makes them"):
        lj.unroll_stack("NP", (), XS)


@pytest.mark.parametrize("lag", ["abc", "30", None, [10.0, 20.0], np.ones(3)])
def test_the_longest_lag_of_chrono_is_a_number(lag):
    with pytest.raises(TypeError, match=r"max_lag must be a number of steps, such as chrono\(750.0\); got"):
        lj.chrono(lag)


def test_an_unknown_variant_suggests_the_nearest():
    with pytest.raises(KeyError, match="unknown variant 'NPP'; did you mean 'NP'?"):
        _ = lj.VARIANTS["NPP"]


def test_viewing_weights_of_another_variant_is_refused():
    with pytest.raises(ValueError, match="were these weights made for another variant"):
        lj.gate_view("NIG", PARAMS)


def test_initial_state_names_what_does_not_fit():
    with pytest.raises(ValueError, match="hidden_size must be an integer >= 1, got 0"):
        lj.initial_state("V", (B,), 0)
    with pytest.raises(TypeError, match="batch_shape must be a tuple"):
        lj.initial_state("V", 2, H)
    with pytest.raises(ValueError, match="initial_state: dtype must be a floating type, got int32"):
        lj.initial_state("V", (B,), H, jnp.int32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initializers": jnp.zeros}, "initializers must be a scheme's name or a mapping"),
        ({"initializers": {"R": "orthogonal"}}, "initializers['R'] must be a function"),
        ({"forget_bias": "chrono"}, "forget_bias must be a number, a rule such as chrono(max_lag), or None"),
        ({"forget_bias": [1.0, 2.0]}, "forget_bias must be a number"),
    ],
)
def test_initial_values_of_the_wrong_kind_are_refused(change, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        lj.init_params(jax.random.key(0), "V", I, H, **change)


@pytest.mark.parametrize("name", ["V", "FGR"])
@pytest.mark.parametrize("backend", ["scan", "fused", *(["native"] if kernel_is_here() else [])])
@pytest.mark.parametrize("lengths", [None, []])
def test_an_empty_batch_gives_empty_outputs_and_no_gradient(backend, lengths, name):
    params = lj.init_params(jax.random.key(0), name, I, H)

    def loss(params):
        ys, state = lj.unroll(name, params, jnp.zeros((T, 0, I)), lengths, backend=backend)
        return ys.sum() + state.c.sum(), (ys, state)

    slopes, (ys, state) = jax.grad(loss, has_aux=True)(params)
    assert ys.shape == (T, 0, H)
    assert state.c.shape == (0, H)
    jax.tree.map(np.testing.assert_array_equal, slopes, jax.tree.map(jnp.zeros_like, params))


def test_a_list_of_lengths_may_pass_through_jit():
    params, xs = lj.init_params(jax.random.key(0), "V", 3, 4), jax.random.normal(jax.random.key(1), (6, 2, 3))
    run = lambda xs, lengths: lj.unroll("V", params, xs, lengths)[0]  # noqa: E731
    np.testing.assert_allclose(jax.jit(run)(xs, [5, 3]), run(xs, [5, 3]), rtol=1e-6)


@pytest.mark.parametrize("backend", ["scan", "fused"])
def test_16_bit_weights_need_no_promotion_of_types(backend):
    xs = jax.random.normal(jax.random.key(1), (6, 2, 3))

    def slopes(promotion):
        with jax.numpy_dtype_promotion(promotion):
            params = lj.init_params(jax.random.key(0), "V", 3, 4, dtype=jnp.bfloat16)
            return jax.grad(lambda p: lj.unroll("V", p, xs, [6, 2], backend=backend)[0].sum())(params)

    got = slopes("strict")
    assert got.R.dtype == jnp.bfloat16
    jax.tree.map(np.testing.assert_array_equal, got, slopes("standard"))


def test_a_program_for_any_length_ignores_the_chunks():
    from jax import export

    params = lj.init_params(jax.random.key(0), "V", 3, 4)
    run = lambda xs: lj.unroll("V", params, xs, backend="fused", remat_chunk=2)[0]  # noqa: E731
    shape = jax.ShapeDtypeStruct(export.symbolic_shape("t, b, 3"), jnp.float32)
    xs = jax.random.normal(jax.random.key(1), (5, 2, 3))
    np.testing.assert_allclose(export.export(jax.jit(run))(shape).call(xs), run(xs), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("backend", ["scan", "fused", *(["native"] if kernel_is_here() else [])])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_state_of_a_row_without_a_step_reaches_no_gradient(backend, reverse):
    """A batch may be filled up with rows of length 0 whose states hold anything; they are held all the same."""
    params, xs = lj.init_params(jax.random.key(0), "FGR", 3, 4), jax.random.normal(jax.random.key(1), (6, 2, 3))
    blank = lj.initial_state("FGR", (2,), 4)
    odd = jax.tree.map(lambda leaf: leaf.at[0].set(jnp.nan), blank)

    def slopes(state):
        def loss(params):
            ys, last = lj.unroll("FGR", params, xs, [0, 6], state, reverse=reverse, backend=backend)
            return (ys**2).sum() + last.c[1].sum(), last

        return jax.grad(loss, has_aux=True)(params)

    (got, last), (want, _) = slopes(odd), slopes(blank)
    jax.tree.map(np.testing.assert_array_equal, got, want)
    assert np.isnan(last.c[0]).all() and np.isfinite(last.c[1]).all()
