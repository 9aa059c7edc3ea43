"""Figures show the numbers they were given."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from lstm_jax.analysis import plot_gates, plot_gradient_norms, plot_learning_curves, plot_traces
from lstm_jax.analysis.battery_figure import battery_figure

RNG = np.random.default_rng(4)


def rendered(figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png")
    assert content.getvalue().startswith(b"\x89PNG")
    return content.getvalue()


def test_gates_are_drawn_cells_by_steps_in_the_order_of_the_equations():
    seen = {letter: RNG.uniform(size=(9, 2, 4)) for letter in "yczfio"}
    figure = plot_gates(seen, sequence=1, length=7, events={2: "mark"})
    panels = [axes for axes in figure.axes if axes.images]
    assert [panel.get_ylabel().split("$")[1] for panel in panels] == list("zifocy")
    for panel, letter in zip(panels, "zifocy", strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), seen[letter][:7, 1].T)
    assert panels[1].images[0].get_clim() == (0, 1) and panels[4].images[0].get_clim() == (-1, 1)
    assert rendered(figure) != rendered(plot_gates(seen, sequence=0, length=7))


def test_traces_show_one_cell_of_one_sequence():
    seen = {letter: RNG.uniform(size=(9, 2, 4)) for letter in "cfy"}
    figure = plot_traces(seen, sequence=1, cell=2, events={3: "mark"})
    assert [axes.get_ylabel().split("$")[1] for axes in figure.axes] == list("fcy")
    for panel, letter in zip(figure.axes, "fcy", strict=True):
        np.testing.assert_array_equal(panel.lines[0].get_ydata(), seen[letter][:, 1, 2])
    assert figure.axes[0].texts[0].get_text() == "mark"
    rendered(figure)


def test_gradient_norms_are_medians_on_a_logarithmic_axis_without_rounding_noise():
    norms = 10.0 ** RNG.uniform(-8, 1, (6, 5))
    norms[5] = np.nan
    norms[4] = 1e-20
    figure = plot_gradient_norms({"LSTM": norms, "RNN": norms[:, 0]})
    (axes,) = figure.axes
    line = next(line for line in axes.lines if line.get_label() == "LSTM")
    np.testing.assert_allclose(line.get_ydata()[:4], np.median(norms[:4], axis=1))
    assert np.isnan(line.get_ydata()[4:]).all() and axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["LSTM", "RNN"]
    rendered(figure)


def test_learning_curves_show_median_steps_and_chance():
    scores = RNG.uniform(size=(8, 3))
    figure = plot_learning_curves({"V": scores}, steps=range(0, 80, 10), chance=0.25, ylabel="accuracy")
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.lines[0].get_xydata()[:, 0], range(0, 80, 10))
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.median(scores, axis=1))
    assert axes.lines[1].get_ydata()[0] == 0.25 and axes.get_ylabel() == "accuracy"
    rendered(figure)


@pytest.mark.parametrize("draw", [lambda: plot_learning_curves({"V": np.zeros(3)}), lambda: battery_figure([])])
def test_a_missing_matplotlib_names_the_extra(monkeypatch, draw):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"lstm_jax\[plot\]"):
        draw()
