"""One framework in a process of its own, which works when told to and says how long it took; see crew.py.

    python worker.py BENCHMARK FRAMEWORK THREADS       # started by population.py and layer.py

BENCHMARK is a module with ``FRAMEWORKS`` and a ``Spec``: frameworks or layer_peers. Orders come as one line of JSON
each on standard input, answers leave the same way. Between orders the process sleeps, so that only one contestant
ever runs.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

Work = Callable[[int], tuple[float, bool]]
"""Repetitions to the seconds they took, and whether what came out is sound."""


def answer(peer: Any, spec_of: Callable[..., Any], prepared: dict[str, Work], order: dict[str, Any]) -> dict[str, Any]:
    """Do what one order says."""
    if order["do"] == "check":
        given = dict(np.load(order["given"])) if order["given"] else {}
        np.savez(order["into"], **peer.check(spec_of(**order["spec"]), given))
        return {}
    if order["do"] == "prepare":
        prepared[order["name"]], facts = peer.prepare(spec_of(**order["spec"]))
        return facts
    if order["do"] == "forget":
        prepared.clear()
        peer.forget()
        return {}
    if order["do"] == "peak":
        return {"gflops": peer.peak()}
    seconds, sound = prepared[order["name"]](order["times"])
    return {"seconds": seconds} if sound else {"error": "its numbers are not finite, or a trial stopped learning"}


def main(benchmark: str, framework: str, threads: int) -> None:
    """Answer orders until their giver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the giver's to handle: it closes our standard input
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no reply
    module = importlib.import_module(benchmark)
    try:
        peer = module.FRAMEWORKS[framework](threads)
        print(json.dumps({"about": peer.about}, default=str), file=replies, flush=True)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=replies, flush=True)
        return
    prepared: dict[str, Work] = {}
    for line in sys.stdin:
        try:
            reply = answer(peer, module.Spec, prepared, json.loads(line))
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
