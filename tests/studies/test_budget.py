"""Sizes with equally many parameters."""

from __future__ import annotations

import jax
import pytest

from lstm_jax.cell.variants import VARIANTS
from lstm_jax.studies.budget import matched_size, parameter_count
from lstm_jax.train.config import ModelConfig
from lstm_jax.train.network import init_network


@pytest.mark.parametrize("name", VARIANTS)
def test_the_count_is_that_of_the_network_that_is_trained(name):
    network = jax.eval_shape(lambda key: init_network(key, ModelConfig(name, hidden_size=6), 3, 2), jax.random.key(0))
    assert parameter_count(name, 3, 6, 2) == sum(leaf.size for leaf in jax.tree.leaves(network))


@pytest.mark.parametrize("name", VARIANTS)
def test_no_other_size_is_nearer_to_the_budget(name):
    size = matched_size(name, 3, 2, 1000)
    distances = {n: abs(parameter_count(name, 3, n, 2) - 1000) for n in range(1, 60)}
    assert distances[size] == min(distances.values())


def test_a_budget_that_one_cell_exceeds_is_refused_with_its_count():
    with pytest.raises(ValueError, match=r"V with 1 cells, 10 inputs and 9 outputs has 69 parameters; .* got 60"):
        matched_size("V", 10, 9, 60)
