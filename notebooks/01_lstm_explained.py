# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The LSTM, explained by watching one
#
# A recurrent network reads a sequence step by step and carries what it knows in a state. To learn that something long
# ago mattered, an error has to travel back through every step in between, and in a plain recurrent network it fades or
# blows up on the way. The **long short-term memory** (Hochreiter & Schmidhuber, 1997) gives the error a lane of its
# own, the *cell*, and puts valves on it, the *gates*.
#
# Everything below is computed live, in about a minute on a laptop; `jupyter execute --inplace` computes it anew:
#
# 1. build one cell **by hand** and see what each gate is for,
# 2. **train** a small network and look into its gates,
# 3. measure **how far back** an error can travel,
# 4. read sequences of **different lengths** in one batch.

# %%
# %matplotlib inline
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import lstm_jax as lj
from lstm_jax import analysis
from lstm_jax.cell import chrono

# %% [markdown]
# ## 1. Six equations, and a cell built by hand
#
# At every step the cell gets an input $x_t$ and its own last output $y_{t-1}$ (letters as in *LSTM: A Search Space
# Odyssey*, 2015; $\sigma$ squashes to between 0 and 1, $\odot$ multiplies cell by cell). The cell of 1997 had neither
# forget gate ($f_t = 1$) nor peepholes; Gers, Schmidhuber & Cummins (2000) and Gers & Schmidhuber (2000) added them.
#
# $$\begin{aligned}
# z_t &= \tanh(W_z x_t + R_z y_{t-1} + b_z) && \text{block input: what could be written}\\
# i_t &= \sigma(W_i x_t + R_i y_{t-1} + p_i \odot c_{t-1} + b_i) && \text{input gate: is it written?}\\
# f_t &= \sigma(W_f x_t + R_f y_{t-1} + p_f \odot c_{t-1} + b_f) && \text{forget gate: is the old content kept?}\\
# c_t &= z_t \odot i_t + c_{t-1} \odot f_t && \text{cell: the memory}\\
# o_t &= \sigma(W_o x_t + R_o y_{t-1} + p_o \odot c_t + b_o) && \text{output gate: is it shown?}\\
# y_t &= \tanh(c_t) \odot o_t && \text{block output}
# \end{aligned}$$
#
# The weights $p$ are *peepholes*, through which a gate sees the cell. The variant `NP` (no peepholes) leaves them out;
# it is the LSTM of most libraries, and the one we build now. Its input has four channels: a **value** that changes at
# every step, and three switches, **write**, **clear** and **read**. Each gate listens to its own switch and to nothing
# else, so a single memory cell does what the switches say.

# %%
VALUE, WRITE, CLEAR, READ = range(4)


def listens(channel, weight):
    """One column of W: this row of the cell sees one input channel."""
    return jnp.zeros((4, 1)).at[channel].set(weight)


weights = {
    "W_z": listens(VALUE, 1.0), "b_z": jnp.array([0.0]),
    "W_i": listens(WRITE, 16.0), "b_i": jnp.array([-8.0]),  # shut, unless told to write
    "W_f": listens(CLEAR, -16.0), "b_f": jnp.array([8.0]),  # open, unless told to clear
    "W_o": listens(READ, 16.0), "b_o": jnp.array([-8.0]),  # shut, unless told to read
    **{f"R_{row}": jnp.zeros((1, 1)) for row in "zifo"},
}  # fmt: skip
by_hand = lj.pack_gates("NP", weights)

steps = 40
switches = {4: WRITE, 14: READ, 20: CLEAR, 26: WRITE, 36: READ}
value = jax.random.uniform(jax.random.key(8), (steps,), minval=-1.5, maxval=1.5)
xs = jnp.zeros((steps, 1, 4)).at[:, 0, VALUE].set(value)
for step, switch in switches.items():
    xs = xs.at[step, 0, switch].set(1.0)

names = {WRITE: "write", CLEAR: "clear", READ: "read"}
events = {step: names[switch] for step, switch in switches.items()}
analysis.plot_traces(analysis.record_gates("NP", by_hand, xs), events=events)

# %% [markdown]
# The block input $z$ is noise most of the time. The **input gate** lets one value of it in; the **cell** then holds
# it, flat, for as long as the **forget gate** is open; the **output gate** shows it to the rest of the network for
# just one step. Clearing shuts the forget gate, and the cell is blank for the next value.
#
# Now take gates away. In this library a variant is a record of names, and a gate that a variant lacks owns no weights;
# so we hand `pack_gates` the same weights without those of one gate.

# %%
removed = {"NP": None, "NIG": "i", "NFG": "f", "NOG": "o"}
titles = {"NP": "all gates", "NIG": "no input gate", "NFG": "no forget gate", "NOG": "no output gate"}
written = np.tanh(np.asarray(value[jnp.array([4, 26])]))

layout = {"figsize": (6.5, 4.2), "sharex": True, "sharey": True, "layout": "constrained", "dpi": 130}
figure, panels = plt.subplots(len(removed), **layout)
for panel, (name, gate) in zip(panels, removed.items(), strict=True):
    variant = replace(lj.VARIANTS[name], peepholes=False)
    kept = {key: weight for key, weight in weights.items() if key[2:] != gate}
    ys, _ = lj.unroll(variant, lj.pack_gates(variant, kept), xs)
    panel.step(range(steps), ys[:, 0, 0], where="mid", color="#0072B2", lw=1.3)
    panel.plot([14, 36], np.tanh(written), "o", color="#D55E00", ms=5, mfc="none", label="what should be read")
    panel.set_title(titles.get(name, name), fontsize=8, loc="left", pad=2)
    panel.set_xlim(-0.5, steps - 0.5)
    panel.tick_params(labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)
panels[0].legend(frameon=False, fontsize=7, loc="upper left")
panels[-1].set_xlabel("time step", fontsize=8)
figure.supylabel("block output $y$", fontsize=8)
plt.show()

# %% [markdown]
# * **No input gate**: every value is added to the cell, so the reading is a sum of noise.
# * **No forget gate** (as in the cell of 1997): the first value is read well, but nothing can clear the cell, so the
#   second reading is the sum of both.
# * **No output gate**: the memory is right, but it is shown all the time. Here nobody listens ($R = 0$); in a network
#   it would reach gates and cells that it disturbs.
#
# ## 2. A trained cell
#
# Nobody sets these weights by hand. We train a small LSTM on **temporal order** (experiment 6 of 1997): a sequence
# starts with `E`, ends with the trigger `B`, and hides two symbols, each `X` or `Y`, between random letters. At the
# trigger the network has to say which came in which order: `XX`, `XY`, `YX` or `YY`. The first one is by then about
# fifty steps old.

# %%
task = lj.TASKS["temporal_order"](length=60)
LETTERS = np.array(list("EBXYabcd"))


def read_letters(batch, b):
    return "".join(LETTERS[np.argmax(batch.inputs[: batch.lengths[b], b], axis=-1)])


batch = task.sample(jax.random.key(7), 4)
for b in range(4):
    print(read_letters(batch, b), "->", ["XX", "XY", "YX", "YY"][int(batch.targets[batch.lengths[b] - 1, b])])

# %% [markdown]
# The training loop is plain JAX and Optax. `unroll` runs the cell over the batch and returns the state after each
# sequence's own last step; a linear readout turns it into four scores. `lax.scan` compiles all the training steps into
# one program, and `vmap` trains several networks side by side, each from its own seed.

# %%
HIDDEN, STEPS, SEEDS = 8, 600, 4
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-2))


@partial(jax.jit, static_argnums=(1, 2))
@partial(jax.vmap, in_axes=(0, None, None))
def init(key, variant, forget_bias):
    cell_key, out_key = jax.random.split(key)
    cell = lj.init_params(cell_key, variant, task.input_size, HIDDEN, forget_bias=forget_bias)
    return {"cell": cell, "out": 0.1 * jax.random.normal(out_key, (HIDDEN, task.output_size))}


def loss_and_accuracy(params, variant, batch):
    _, state = lj.unroll(variant, params["cell"], batch.inputs, batch.lengths)
    scores = state.y @ params["out"]
    answers = jnp.sum(jnp.where(batch.loss_mask, batch.targets, 0), axis=0)
    loss = optax.softmax_cross_entropy_with_integer_labels(scores, answers).mean()
    return loss, jnp.mean(scores.argmax(-1) == answers)


@partial(jax.jit, static_argnums=0)
def train(variant, start, keys):
    def one_step(carry, key):
        params, slots = carry
        grads, accuracy = jax.grad(loss_and_accuracy, has_aux=True)(params, variant, task.sample(key, 32))
        updates, slots = optimizer.update(grads, slots)
        return (optax.apply_updates(params, updates), slots), accuracy

    def one_network(params, key):
        carry = params, optimizer.init(params)
        (params, _), accuracy = jax.lax.scan(one_step, carry, jax.random.split(key, STEPS))
        return params, accuracy

    return jax.vmap(one_network)(start, keys)


patient = chrono(task.max_length)  # gates that start with time scales up to this many steps
recipes = {
    "LSTM, patient": ("NP", patient),
    "LSTM, forget bias 4": ("NP", 4.0),
    "LSTM, forget bias 0": ("NP", 0.0),
    "no forget gate": (replace(lj.VARIANTS["NFG"], peepholes=False), patient),
    "tanh network": ("RNN", None),
}
keys = jax.random.split(jax.random.key(0), (2, SEEDS))
starts = {label: init(keys[0], *recipe) for label, recipe in recipes.items()}
runs = {label: train(recipes[label][0], start, keys[1]) for label, start in starts.items()}

every = 20  # average the accuracy of so many batches
curves = {label: accuracy.reshape(SEEDS, -1, every).mean(-1).T for label, (_, accuracy) in runs.items()}
analysis.plot_learning_curves(curves, ylabel="accuracy", steps=range(every, STEPS + 1, every), chance=task.chance)

# %% [markdown]
# Lines are medians over the four seeds, bands quartiles. The tanh network does not leave chance, and neither does an
# LSTM that starts out forgetting half of its memory at every step; section 3 shows why. A forget gate that starts
# nearly open (bias 4) lets some of the seeds learn, others not in these steps: their input gates are half open, and
# every letter is written over the two that matter. The patient start (`chrono`, Tallec & Ollivier, 2018) has forget
# gates, where there are any, nearly open *and* input gates nearly shut, and soon makes no mistake. Nothing here has to
# be forgotten, so the cell without forget gate does well too.
#
# Now look inside the best LSTM while it reads one sequence. Each row of a panel is one of its cells.

# %%
trained, accuracy = runs["LSTM, patient"]
best = int(np.argmax(accuracy[:, -200:].mean(axis=1)))
cell = jax.tree.map(lambda weight: weight[best], trained["cell"])

letters = read_letters(batch, 0)
events = {t: letter for t, letter in enumerate(letters) if letter in "XYB"}
gates = analysis.record_gates("NP", cell, batch.inputs, batch.lengths)
analysis.plot_gates(gates, sequence=0, length=len(letters), events=events)

# %% [markdown]
# The input gates are nearly shut while meaningless letters pass, and light up at the symbols that matter. Some cells
# jump there; others climb on for a while, their input gate a little open and their block input fed by what they hold.
# Most forget gates stay open, so what was written lasts until the trigger.
# Counted over many sequences: how often is a gate shut (below 0.1) or open (above 0.9), and after how many steps would
# a cell have lost all but 1/e of what it held?

# %%
many = task.sample(jax.random.key(8), 200)
seen = analysis.record_gates("NP", cell, many.inputs, many.lengths)
for gate, share in analysis.saturation(seen, many.lengths).items():
    print(f"{gate}: shut {float(share.shut.mean()):4.0%} of the time, open {float(share.open.mean()):4.0%}")
print("time scales of the cells, in steps:", np.sort(np.asarray(analysis.time_scales(seen, many.lengths))).round(0))

# %% [markdown]
# ## 3. How far back can an error travel?
#
# Learning sends an error from step $t$ back to step $t-k$. On its way it is multiplied by one Jacobian a step,
#
# $$\frac{\partial s_t}{\partial s_{t-k}} = J_t\, J_{t-1} \cdots J_{t-k+1},$$
#
# where the state $s$ is all that the next step reads. If those matrices shrink, the product **vanishes**
# exponentially and nothing can be learned from far away; if they stretch, it **explodes**. Along the cell of an LSTM
# the factor is simply the forget gate: $\partial c_t / \partial c_{t-1} = f_t$. That is one path of many. An error
# also travels through the gates and the outputs, from $c$ to $y$ and by the recurrent weights back into $c$; the
# whole Jacobian has them all. We draw both: the whole product, and the product of the forget gates alone, of the cell
# that keeps most.

# %%
inputs = lj.TASKS["temporal_order"](length=100).sample(jax.random.key(3), 6).inputs[:100]


def untrained(variant, recurrent_scale=1.0, **options):
    params = lj.init_params(jax.random.key(5), variant, inputs.shape[-1], HIDDEN, **options)
    return variant, params._replace(R=recurrent_scale * params.R)


def along_the_cell(variant, params):
    """The product of the last k forget gates, of the cell that keeps most: (lags, B); 1 where f = 1."""
    if lj.VARIANTS[variant].forget_gate == "open":
        return jnp.ones((len(inputs) + 1, 1))
    forget = analysis.record_gates(variant, params, inputs)["f"]
    return jnp.concatenate([jnp.ones((1, inputs.shape[1])), jnp.cumprod(forget[::-1], axis=0).max(-1)])


cells = {
    "LSTM, forget bias 0": untrained("NP", forget_bias=0.0),
    "LSTM, forget bias 1": untrained("NP", forget_bias=1.0),
    "LSTM, forget bias 4": untrained("NP", forget_bias=4.0),
    "no forget gate": untrained("NFG"),
    "no forget gate, truncated": untrained("LSTM1997"),
    "tanh, weights x 0.8": untrained("RNN", 0.8),
    "tanh, weights x 1": untrained("RNN", 1.0),
    "tanh, weights x 2": untrained("RNN", 2.0),
}
norms = {label: analysis.state_jacobian_norms(*cell, inputs) for label, cell in cells.items()}
gates_alone = {label: along_the_cell(*cell) for label, cell in cells.items() if cell[0] != "RNN"}

figure, panels = plt.subplots(1, 2, figsize=(8.0, 3.6), sharey=True, layout="constrained", dpi=130)
analysis.plot_gradient_norms(norms, ylabel=r"$\|\partial s_T / \partial s_{T-k}\|$", axes=panels[0], floor=1e-9)
analysis.plot_gradient_norms(gates_alone, ylabel=r"$f_T\, f_{T-1} \cdots$ alone", axes=panels[1], floor=1e-9)
for panel in panels:
    panel.get_legend().remove()
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=7)
plt.show()

# %% [markdown]
# Before any training:
#
# * The **tanh network** hangs on the size of its recurrent weights: with small ones the error vanishes exponentially,
#   with large ones it grows, until the squashing of saturated units holds it.
# * An **LSTM** whose forget bias starts at 0 has $f \approx \sigma(0) = 1/2$: along the cell the error is about halved
#   at every step (right: the cell that keeps most still loses some 40 %). The other paths carry it further, but it
#   vanishes all the same. Starting at 1 gives $f \approx 0.73$, at 4 gives $f \approx 0.98$. **The forget bias sets
#   the time scale that a cell starts with**: along the cell an error fades by the factor $e$ in about $e^{b}$ steps
#   where $b$ is large; set it to fit the lags you expect.
# * **Without forget gate** ($f = 1$, the *constant error carousel* of 1997) the error does not vanish. It even grows
#   over a hundred steps, and with forget bias 4 where the cell alone would lose: the work of the other paths, through
#   gates and outputs, which nothing holds at 1. The paper of 1997 cut those paths by hand: under its *truncated
#   gradient* an error leaves a step along the cell only, where the factor is exactly 1.
#
# Clipping the gradient's norm, as section 2 did, tames an explosion; nothing so simple helps against vanishing.
#
# And after training? We take the networks of section 2 and compare, for each, before and after.

# %%
figure, panels = plt.subplots(1, len(recipes), figsize=(8.0, 2.4), sharey=True, layout="constrained", dpi=130)
for panel, (label, (variant, _)) in zip(panels, recipes.items(), strict=True):
    norms = jax.vmap(lambda cell, variant=variant: analysis.state_jacobian_norms(variant, cell, inputs[:60, :3]))
    before, after = (jnp.concatenate(norms(params["cell"]), axis=1) for params in (starts[label], runs[label][0]))
    analysis.plot_gradient_norms({"before": before, "after training": after}, ylabel="", axes=panel, floor=1e-9)
    panel.set_title(label, fontsize=8)
    if panel is not panels[0]:
        panel.get_legend().remove()
panels[0].set_ylabel(r"$\|\partial s_T / \partial s_{T-k}\|$")
plt.show()

# %% [markdown]
# Does an error still arrive from 50 steps back? *Before* training is what decides: where next to nothing arrives,
# there is nothing to learn from, and the accuracies above stay at chance. *After* training those networks reach even
# less far than before: they have learned from the last letters only, and nothing held on to the rest. In those that
# succeeded the error arrives.
#
# ## 4. Sequences of different lengths in one batch
#
# A batch is a block of numbers, so shorter sequences are padded. Here one row has all 12 steps, one 7, one none, and
# the padding is filled with NaN, the most poisonous number there is. Past its length a row's state is held, its output
# is exactly 0, and the padding reaches neither values nor gradients.

# %%
lengths = jnp.array([12, 7, 0])
params = lj.init_params(jax.random.key(2), "V", input_size=3, hidden_size=5)
rows = jax.random.normal(jax.random.key(4), (12, 3, 3))
poisoned = jnp.where((jnp.arange(12)[:, None] < lengths[None, :])[..., None], rows, jnp.nan)

ys, state = lj.unroll("V", params, poisoned, lengths=lengths)
alone, state_alone = lj.unroll("V", params, rows[:7, 1:2])  # the second sequence, by itself

figure, panels = plt.subplots(2, 3, figsize=(6.5, 3.2), sharex=True, layout="constrained", dpi=130)
colors = plt.get_cmap("PuOr_r").with_extremes(bad="#BBBBBB")
for b, column in enumerate(panels.T):
    column[0].imshow(poisoned[:, b].T, aspect="auto", cmap=colors, vmin=-2, vmax=2)
    column[1].imshow(ys[:, b].T, aspect="auto", cmap=colors, vmin=-0.5, vmax=0.5)
    column[0].set_title(f"length {int(lengths[b])}", fontsize=8)
    column[1].set_xlabel("time step", fontsize=8)
for panel, label in zip(
    panels[:, 0], ("input, 3 rows\n(-2 to 2; grey: NaN)", "output, 5 cells\n(-0.5 to 0.5; white: 0)"), strict=True
):
    panel.set_ylabel(label, fontsize=8)
for panel in panels.flat:
    panel.set_yticks([])
    panel.tick_params(labelsize=7)
plt.show()

# %%
gradient = jax.grad(lambda params: lj.unroll("V", params, poisoned, lengths=lengths)[0].sum())(params)
finite = all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradient))

print("padded row equals the row alone:   ", bool(jnp.allclose(ys[:7, 1], alone[:, 0], atol=1e-6)))
print("its state is held from step 7 on:  ", bool(jnp.allclose(state.c[1], state_alone.c[0], atol=1e-6)))
print("outputs past the end are exactly 0:", bool((ys[7:, 1] == 0).all()))
print("length 0 returns the initial state:", bool((state.c[2] == 0).all()))
print("every gradient is finite:          ", finite)

# %% [markdown]
# ## Try it
#
# * Add `"CIFG": "f"` to `removed` in section 1, a cell whose forget gate is $f = 1 - i$. Its readings are the same
#   although it has no ear for `clear`. Why? Look at its cell with `plot_traces`.
# * Add `"GRU": ("GRU", patient)` to `recipes` in section 2, or `"V"`, or `"CIFG"`. How many steps does each need?
# * The library starts forget gates at bias 1. Train `("NP", 1.0)` too: what does section 3 predict?
# * Make the task of section 2 longer, `length=200`: the first symbol is then 160 to 200 steps old. Which variants
#   survive? Section 3 looks at 100 and at 60 steps; make it look as far, and compare.
#
# `lj.VARIANTS` lists every cell. `make run` asks with seeds and statistics which gates matter; the folders
# `experiments/03_gates_and_init` and `experiments/05_long_dependencies` ask about first biases and about lags.
