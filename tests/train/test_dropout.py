"""Dropout is locked over time, drawn anew at every update, and absent where nothing is learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import DropoutConfig, ModelConfig
from lstm_jax.train.dropout import drop_features, drop_rows, drop_weights
from lstm_jax.train.network import apply_network, count_parameters, init_network, run_network
from lstm_jax.unroll.stack import init_stack

KEY = jax.random.key(5)


def test_features_are_dropped_for_the_whole_window_and_the_mean_stays():
    xs = 1 + jax.random.uniform(KEY, (6, 40, 50))
    kept = np.asarray(drop_features(0.3, KEY, 0, xs) / xs)
    np.testing.assert_allclose(kept, np.broadcast_to(kept[:1], kept.shape), rtol=1e-6)
    np.testing.assert_allclose(np.unique(kept.round(4)), [0, 1 / 0.7], rtol=1e-4)
    assert abs(kept.mean() - 1) < 0.06 and (kept[0] != kept[0, 0]).any(), "each sequence has its own"
    assert (kept != np.asarray(drop_features(0.3, KEY, 1, xs) / xs)).any(), "each place has its own"
    assert drop_features(0.0, KEY, 0, xs) is xs


def test_only_recurrent_weights_are_dropped_with_one_mask_a_layer():
    stack = init_stack(KEY, "V", 3, 20, num_layers=2)
    dropped = drop_weights(DropoutConfig(recurrent=0.5), KEY, stack)
    masks = []
    for (before,), (after,) in zip(stack, dropped, strict=True):
        assert all(a is b for a, b in zip(before._replace(R=None), after._replace(R=None), strict=True))
        masks.append(np.asarray(after.R / before.R))
        np.testing.assert_allclose(np.unique(masks[-1].round(4)), [0, 2])
        assert abs(masks[-1].mean() - 1) < 0.15
    assert (masks[0] != masks[1]).any()


def test_whole_rows_of_the_table_are_dropped():
    kept = np.asarray(drop_rows(DropoutConfig(embedding=0.4), KEY, jnp.ones((300, 5))))
    np.testing.assert_array_equal(kept, np.broadcast_to(kept[:, :1], kept.shape))
    assert 0.25 < (kept == 0).mean() < 0.55


@pytest.fixture(scope="module")
def symbols():
    return jnp.asarray(np.random.default_rng(3).integers(0, 9, (5, 4)), jnp.int32)


def test_without_a_key_nothing_is_dropped_and_with_one_everything_named_is(symbols):
    config = ModelConfig("NP", 6, num_layers=2, embedding=6)
    params, batch = init_network(KEY, config, 9, 9), Batch(symbols, None, None, None)
    plain = apply_network(config, params, batch)
    run = jax.jit(lambda rates, key: run_network(config, params, batch, None, rates, key)[0], static_argnums=0)
    np.testing.assert_array_equal(run(DropoutConfig(recurrent=0.5, inputs=0.5), None), plain)
    np.testing.assert_allclose(run(DropoutConfig(), KEY), plain, rtol=1e-6)
    for name in ("embedding", "inputs", "between", "outputs", "recurrent"):
        rates = DropoutConfig(**{name: 0.5})
        assert not np.allclose(run(rates, KEY), plain), name
        np.testing.assert_array_equal(run(rates, KEY), run(rates, KEY))
        assert not np.array_equal(run(rates, KEY), run(rates, jax.random.key(6))), name


def test_a_symbol_looks_up_a_row_and_one_hot_is_the_same_lookup_in_W(symbols):
    batch = Batch(symbols, None, None, None)
    plain = ModelConfig("V", 6)
    params = init_network(KEY, plain, 9, 9)
    numbers = batch._replace(inputs=jax.nn.one_hot(symbols, 9))
    np.testing.assert_allclose(apply_network(plain, params, batch), apply_network(plain, params, numbers), rtol=1e-6)
    embedded = ModelConfig("V", 6, embedding=4)
    params = init_network(KEY, embedded, 9, 9)
    assert params.embedding.shape == (9, 4) and params.stack[0][0].W.shape == (4, 4, 6)
    rows = batch._replace(inputs=params.embedding[symbols])
    apart = apply_network(plain, params._replace(embedding=None), rows)
    np.testing.assert_allclose(apply_network(embedded, params, batch), apart, rtol=1e-6)
    with pytest.raises(ValueError, match=r"embedding looks up symbols, but the inputs are float32\[5, 4, 4\]"):
        apply_network(embedded, params, rows)


def test_a_tied_readout_reads_with_the_table(symbols):
    batch = Batch(symbols, None, None, None)
    tied, own = (ModelConfig("NP", 6, embedding=6, tied=tied) for tied in (True, False))
    params = init_network(KEY, tied, 9, 9)
    assert params.readout.W is None
    written = params._replace(readout=params.readout._replace(W=params.embedding.T))
    np.testing.assert_allclose(apply_network(tied, params, batch), apply_network(own, written, batch), rtol=1e-6)
    assert count_parameters(init_network(KEY, own, 9, 9)) - count_parameters(params) == 6 * 9
