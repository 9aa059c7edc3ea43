"""Counts of symbols in a row, against the formula written out with dictionaries."""

from collections import Counter

import numpy as np
import pytest

from lstm_jax.studies.ngrams import ngram_nll

SYMBOLS = 4


def probability(train, context, symbol):
    """Witten and Bell's interpolation, as printed."""
    shorter = probability(train, context[1:], symbol) if context else 1 / SYMBOLS
    length = len(context)
    after = Counter(train[n + length] for n in range(len(train) - length) if train[n : n + length] == context)
    total, different = sum(after.values()), len(after)
    return (after[symbol] + different * shorter) / (total + different) if total else shorter


@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_cross_entropy_is_that_of_the_formula(order):
    rng = np.random.default_rng(order)
    train, test = (tuple(rng.choice(SYMBOLS, n, p=[0.6, 0.3, 0.1, 0.0]).tolist()) for n in (60, 25))
    test = (*test, 3, 0, 3)  # one that training never saw
    places = range(order - 1, len(test))
    terms = [-np.log(probability(train, test[n - order + 1 : n], test[n])) for n in places]
    found = ngram_nll(np.array(train), np.array(test), SYMBOLS, order)
    assert found == pytest.approx(np.mean(terms), rel=1e-12)
    for context in [test[n - order + 1 : n] for n in places]:
        assert sum(probability(train, context, symbol) for symbol in range(SYMBOLS)) == pytest.approx(1)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_who_goes_on_counting_knows_what_was_judged(order):
    """Judged from the first whole context on; as if each n-gram so far stood in the training text too."""
    rng = np.random.default_rng(order)
    train, test = (tuple(rng.choice(SYMBOLS, n, p=[0.5, 0.3, 0.2, 0.0]).tolist()) for n in (12, 40))
    test = (*test, 3, 0, 3, 0, 3)

    def probability(n, length):
        """With the ``length`` symbols before place n as its context."""
        shorter = probability(n, length - 1) if length else 1 / SYMBOLS
        context, after = test[n - length : n], Counter()
        for text, places in ((train, range(length, len(train))), (test, range(order - 1, n))):
            after.update(text[m] for m in places if text[m - length : m] == context)
        total = sum(after.values())
        return (after[test[n]] + len(after) * shorter) / (total + len(after)) if total else shorter

    terms = [-np.log(probability(n, order - 1)) for n in range(order - 1, len(test))]
    found = ngram_nll(np.array(train), np.array(test), SYMBOLS, order, still=True)
    assert found == pytest.approx(np.mean(terms), rel=1e-12)


def test_impossible_orders_and_texts_are_refused():
    text = np.zeros(5, np.int32)
    for symbols, order in ((4, 0), (256, 8)):
        with pytest.raises(ValueError, match=f"{symbols}\\*\\*order below 2\\*\\*63, got order={order}"):
            ngram_nll(text, text, symbols, order)
    with pytest.raises(ValueError, match="must have 6 symbols or more, got 5 and 5"):
        ngram_nll(text, text, 4, 6)
