"""PyTorch's ``nn.LSTM`` in both directions: against PyTorch's outputs, and the names and shapes without it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.convert import from_torch, to_torch

B, T, I, H = 3, 5, 2, 4  # noqa: E741
SHAPES = [(1, False), (2, False), (2, True)]
REASON = "torch is installed on Python 3.11 only: no lock without CUDA beyond it"


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason=REASON, exc_type=ImportError)


def inputs():
    return np.random.default_rng(0).standard_normal((T, B, I)).astype(np.float32)


def random_stack(variant="NP", layers=2, bidirectional=True):
    stack = lj.init_stack(jax.random.key(0), variant, I, H, num_layers=layers, bidirectional=bidirectional)
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.standard_normal(leaf.shape), jnp.float32), stack)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("layers", "bidirectional"), SHAPES)
def test_a_torch_lstm_comes_in_with_its_outputs(torch, layers, bidirectional, bias):
    module = torch.nn.LSTM(I, H, num_layers=layers, bidirectional=bidirectional, bias=bias)
    ys, _ = lj.unroll_stack("NP", from_torch(module.state_dict()), jnp.asarray(inputs()))
    np.testing.assert_allclose(ys, module(torch.from_numpy(inputs()))[0].detach(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("layers", "bidirectional"), SHAPES)
def test_a_torch_lstm_takes_our_weights(torch, layers, bidirectional):
    stack = random_stack("NP", layers, bidirectional)
    module = torch.nn.LSTM(I, H, num_layers=layers, bidirectional=bidirectional)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in to_torch("NP", stack).items()})
    ys, _ = lj.unroll_stack("NP", stack, jnp.asarray(inputs()))
    np.testing.assert_allclose(ys, module(torch.from_numpy(inputs()))[0].detach(), atol=1e-6, rtol=0)


def test_a_prefix_finds_the_lstm_inside_a_larger_module(torch):
    model = torch.nn.ModuleDict({"encoder": torch.nn.LSTM(I, H), "head": torch.nn.Linear(H, 2)})
    inside, alone = from_torch(model.state_dict(), "encoder."), from_torch(model["encoder"].state_dict())
    jax.tree.map(np.testing.assert_array_equal, inside, alone)
    with pytest.raises(KeyError, match="encoder.weight_ih_l0.*give the prefix"):
        from_torch(model.state_dict())


def test_bfloat16_stays_bfloat16(torch):
    source = torch.nn.LSTM(3, 4)
    ((params,),) = from_torch(source.to(torch.bfloat16).state_dict())
    ((wide,),) = from_torch(source.float().state_dict())
    assert params.W.dtype == params.R.dtype == params.b.dtype == jnp.bfloat16
    for ours, theirs in ((params.W, wide.W), (params.R, wide.R)):
        np.testing.assert_array_equal(ours.astype(jnp.float32), theirs)
    np.testing.assert_allclose(params.b.astype(jnp.float32), wide.b, rtol=2**-8)  # their sum is rounded once


@pytest.mark.parametrize(("layers", "bidirectional"), SHAPES)
def test_out_and_in_again_is_exact(layers, bidirectional):
    stack = random_stack("NP", layers, bidirectional)
    jax.tree.map(np.testing.assert_array_equal, from_torch(to_torch("NP", stack)), stack)


def test_biases_are_summed_on_the_way_in_and_the_second_is_zero_on_the_way_out():
    state_dict = to_torch("NP", random_stack(layers=1, bidirectional=False))
    assert not state_dict["bias_hh_l0"].any() and state_dict["bias_ih_l0"].all()
    halved = state_dict | {name: state_dict["bias_ih_l0"] / 2 for name in ("bias_ih_l0", "bias_hh_l0")}
    jax.tree.map(np.testing.assert_array_equal, from_torch(halved), from_torch(state_dict))


def changed(**arrays):
    return to_torch("NP", random_stack(layers=1, bidirectional=False)) | arrays


def without(ending, state_dict):
    return {name: array for name, array in state_dict.items() if not name.endswith(ending)}


@pytest.mark.parametrize(
    ("state_dict", "error", "message"),
    [
        (lambda: without("bias_hh_l0", changed()), KeyError, "'bias_hh_l0' is missing"),
        (lambda: without("weight_hh_l0", changed()), KeyError, "'weight_hh_l0' is missing"),
        (lambda: changed(weight_ih_l0=np.ones((4 * H + 1, I))), ValueError, r"\(17, 2\), expected \(16, 2\)"),
        (lambda: changed(weight_hr_l0=np.ones((2, H))), ValueError, "proj_size"),
        (lambda: changed(kernel=np.ones(3)), KeyError, "kernel"),
        (lambda: without("_l0_reverse", to_torch("NP", random_stack())), KeyError, "'weight_ih_l0_reverse'"),
        (dict, KeyError, "no names"),
    ],
)
def test_what_does_not_fit_is_named(state_dict, error, message):
    with pytest.raises(error, match=message):
        from_torch(state_dict())


def test_a_variant_that_torch_lacks_is_not_exported():
    with pytest.raises(ValueError, match=r"peepholes=True.*has no place in PyTorch's nn.LSTM"):
        to_torch("V", random_stack("V"))


def test_weights_with_a_trial_axis_are_not_exported():
    two = jax.vmap(lambda key: lj.init_stack(key, "NP", I, H))(jax.random.split(jax.random.key(0)))
    with pytest.raises(ValueError, match="run a trial axis with jax.vmap"):
        to_torch("NP", two)


def test_a_third_direction_is_not_dropped():
    ((params,),) = random_stack(layers=1, bidirectional=False)
    with pytest.raises(ValueError, match="layer 0 has 3 directions"):
        to_torch("NP", [[params] * 3])


def test_bfloat16_weights_leave_as_float32(torch):
    stack = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), random_stack())
    exported = {name: torch.from_numpy(array) for name, array in to_torch("NP", stack).items()}
    torch.nn.LSTM(I, H, num_layers=2, bidirectional=True).load_state_dict(exported)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b.astype(jnp.float32)), from_torch(exported), stack)


def test_parameters_that_learn_are_read_too():
    torch = pytest.importorskip("torch")
    lstm = torch.nn.LSTM(I, H)
    (((got,),), ((want,),)) = from_torch(dict(lstm.named_parameters())), from_torch(lstm.state_dict())
    np.testing.assert_array_equal(got.R, want.R)


def test_weights_of_one_cell_are_no_stack():
    with pytest.raises(TypeError, match=r"give \(\(params,\),\)"):
        to_torch("NP", lj.init_params(jax.random.key(0), "NP", I, H))


@pytest.mark.parametrize("upper", [(H, H + 1), (H + 1, H)])
def test_layers_that_one_lstm_of_torch_cannot_hold_are_not_exported(upper):
    first = lj.init_params(jax.random.key(0), "NP", I, H)
    with pytest.raises(ValueError, match=rf"layer 1 has 1 directions, {upper[0]} inputs and {upper[1]} cells"):
        to_torch("NP", [[first], [lj.init_params(jax.random.key(1), "NP", *upper)]])


def test_a_layer_of_fewer_directions_is_not_exported():
    params = lj.init_params(jax.random.key(0), "NP", I, H)
    with pytest.raises(ValueError, match="layer 1 has 1 directions.*needs 2"):
        to_torch("NP", [[params, params], [lj.init_params(jax.random.key(1), "NP", 2 * H, H)]])
