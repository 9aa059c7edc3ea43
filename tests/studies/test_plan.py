"""What a search draws: within its ranges, by its laws, the same for the same study and for nothing else."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lstm_jax.names import UsageError
from lstm_jax.studies.plan import LAWS, Range, Study
from lstm_jax.studies.plan_text import differences
from lstm_jax.train.config import Config, ModelConfig

RANGES = (
    Range("model.hidden_size", "log_integer", 20, 200),
    Range("optimizer.learning_rate", "log", 1e-6, 1e-2),
    Range("optimizer.momentum", "one_minus_log", 0.01, 1.0),
    Range("data.input_noise", "uniform", 0.0, 1.0),
)


def search(**changes) -> Study:
    values = dict(
        name="s", tasks=(("a", Config()),), variants=("V", "NP"), seeds=400, search=RANGES, widths=(64, 128, 200)
    )
    return Study(**{**values, **changes})


def drawn(study: Study, variant: str = "V") -> np.ndarray:
    configs = [trial.config for trial in study.in_order() if trial.variant == variant]
    return np.array(
        [(c.model.hidden_size, c.optimizer.learning_rate, c.optimizer.momentum, c.data.input_noise) for c in configs]
    )


def test_every_setting_follows_its_law():
    size, rate, momentum, noise = drawn(search()).T
    shares = {
        "size": np.log(size / 20) / np.log(10),
        "rate": np.log(rate / 1e-6) / np.log(1e4),
        "momentum": np.log((1 - momentum) / 0.01) / np.log(100),
        "noise": noise,
    }
    for name, share in shares.items():
        assert -0.01 < share.min() and share.max() < 1.01
        assert stats.kstest(share, "uniform").pvalue > 0.001, name
    assert np.abs(np.corrcoef(list(shares.values())) - np.eye(4)).max() < 0.2, "drawn independently"
    assert (size == size.round()).all() and momentum.max() < 0.99 + 1e-12


@pytest.mark.parametrize("law", LAWS)
def test_a_law_reaches_both_of_its_bounds(law):
    ends = sorted(LAWS[law](share, 2.0, 8.0) for share in (0.0, 1.0))
    assert ends == pytest.approx([1 - 8.0, 1 - 2.0] if law == "one_minus_log" else [2.0, 8.0])


def test_draws_are_fresh_for_each_variant_task_and_seed_and_the_same_each_time():
    study = search(tasks=(("a", Config()), ("b", Config())), seeds=20)
    again = search(tasks=(("b", Config()), ("a", Config())), variants=("NP", "CIFG", "V"), seeds=30)
    keys = {trial.key for trial in study.trials()}
    assert len(keys) == 80 and keys <= {trial.key for trial in again.trials()}
    assert len({trial.config.optimizer.learning_rate for trial in study.trials()}) == 80
    other = {trial.key for trial in search(search_seed=1, seeds=20).trials()}
    assert not keys & other


def test_each_size_is_padded_to_the_next_width_and_neighbours_share_it():
    trials = search(seeds=30).trials()
    for trial in trials:
        size, width = trial.config.model.hidden_size, trial.config.model.width
        assert width == min(w for w in (64, 128, 200) if w >= size)
    order = [(trial.variant, trial.config.model.width) for trial in trials]
    assert len(list(dict.fromkeys(order))) == 6 and order == sorted(order, key=list(dict.fromkeys(order)).index)
    with pytest.raises(UsageError, match="is above all widths"):
        search(widths=(30,)).trials()


def test_a_block_gives_every_variant_its_turn():
    trials = search(seeds=10, block=4, widths=()).trials()
    turns = [len(list(group)) for group in np.split(np.arange(20), [8, 16])]
    assert [Counter(t.variant for t in trials[a:b]) for a, b in ((0, 8), (8, 16), (16, 20))] == [
        {"V": n // 2, "NP": n // 2} for n in turns
    ]
    assert {t.key for t in trials} == {t.key for t in search(seeds=10, widths=()).trials()}


def test_a_search_comes_back_exactly_from_json():
    study = search(block=7, search_seed=3)
    assert Study.from_json(study.to_json()) == study


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (("optimizer.learning_rat", "log", 1e-6, 1e-2), "no setting 'optimizer.learning_rat'; did you mean"),
        (("optimiser.momentum", "log", 1e-6, 1e-2), "no setting 'optimiser.momentum'; did you mean 'optimizer'"),
        (("optimizer.momentum", "lgo", 0.1, 0.2), "unknown law 'lgo'; did you mean 'log'"),
        (("optimizer.momentum", "log", 0.0, 0.2), "must rise and be positive, got 0.0 to 0.2"),
        (("data.input_noise", "uniform", 1.0, 0.0), "bounds must rise, got 1.0 to 0.0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(entry, message):
    with pytest.raises(UsageError, match=message):
        Range(*entry)


def test_a_setting_is_searched_once():
    with pytest.raises(UsageError, match="each searched setting is given once"):
        search(search=(RANGES[3], replace(RANGES[3], high=2.0)))


OWN = ModelConfig("NP", hidden_size=7, gate_init="chrono")


def own(**changes) -> Study:
    values = dict(
        name="s", tasks=(("a", Config()), ("b", Config())), variants=("V", "mine"), seeds=2,
        models=(("a", "mine", OWN), ("b", "mine", OWN), ("a", "V", ModelConfig(hidden_size=5))),
    )  # fmt: skip
    return Study(**{**values, **changes})


def test_a_variant_may_have_a_network_of_its_own_and_any_name():
    models = {(run.task, run.variant): run.config.model for run in own().trials()}
    assert models == {
        ("a", "mine"): OWN, ("b", "mine"): OWN, ("a", "V"): ModelConfig(hidden_size=5), ("b", "V"): ModelConfig(),
    }  # fmt: skip
    assert Study.from_json(own().to_json()) == own()
    rated = own(rates=(("a", "mine", 0.5),))
    assert {run.config.optimizer.learning_rate for run in rated.trials() if run.variant == "mine"} == {0.5, 0.001}


def test_a_name_without_a_network_on_some_task_is_unknown_and_models_of_others_are_refused():
    with pytest.raises(UsageError, match="unknown variant 'mine'"):
        own(models=own().models[:1])
    for wrong in (("c", "V", OWN), ("a", "yours", OWN)):
        with pytest.raises(UsageError, match=f"a model is given for {wrong[0]} {wrong[1]}, not part of it"):
            own(models=(*own().models, wrong))
    wrong_key = own().to_json().replace('"gate_init"', '"gate_int"', 1)
    with pytest.raises(UsageError, match="unknown key 'gate_int'; did you mean 'gate_init'"):
        Study.from_json(wrong_key)


def test_a_network_that_changed_is_told():
    now = own(models=(("a", "mine", replace(OWN, hidden_size=8)), *own().models[1:]))
    assert differences(own(), now) == "a, mine.model.hidden_size: 7 became 8"
    assert "models" not in differences(own(), own(seeds=3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": "3"}, "seeds must be int, got '3'"),
        ({"seeds": 2.5}, "seeds must be int, got 2.5"),
        ({"name": 3}, "name must be str, got 3"),
        ({"search_seed": -1}, "search_seed must be >= 0, got -1"),
        ({"variants": "V"}, "variants must be a list whose entries are str, got 'V'"),
        ({"widths": ["a"]}, "widths must be a list whose entries are int"),
        ({"rates": [1]}, "rates must be a list whose entries are list"),
        ({"rates": [["a", "V"]]}, r"rates are lists \[task, variant, rate\]"),
        ({"models": 3}, "models must be a list"),
        ({"search": [{"setting": "optimizer.momentum"}]}, "search has entries of setting, law, low, high"),
    ],
)
def test_what_a_plan_holds_in_the_wrong_kind_is_named(changes, message):
    tree = json.loads(Study("s", (("a", Config()),), ("V", "NP"), 2).to_json())
    with pytest.raises(UsageError, match=message):
        Study.from_json(json.dumps(tree | changes))
