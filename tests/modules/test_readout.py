"""The linear readout."""

import jax
import jax.numpy as jnp
import pytest

from lstm_jax.modules.readout import init_readout


@pytest.mark.usefixtures("x64")
def test_weights_and_biases_have_one_type_where_float64_is_switched_on():
    assert {leaf.dtype for leaf in init_readout(jax.random.key(0), 3, 2)} == {jnp.dtype(jnp.float32)}
