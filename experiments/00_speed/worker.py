"""One framework in a process of its own, which trains when told to and says how long it took; see population.py.

    python worker.py FRAMEWORK THREADS       # ours, torch or flax; started by population.py

Orders come as one line of JSON each on standard input, answers leave the same way. Between orders the process sleeps,
so that only one contestant ever runs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any

import numpy as np
from frameworks import FRAMEWORKS, Spec, Train


def answer(peer: Any, trainers: dict[str, Train], order: dict[str, Any]) -> dict[str, object]:
    """Do what one order says."""
    if order["do"] == "check":
        given = dict(np.load(order["given"])) if order["given"] else {}
        np.savez(order["into"], **peer.check(Spec(**order["spec"]), given))
        return {}
    if order["do"] == "prepare":
        trainers[order["name"]] = peer.trainer(Spec(**order["spec"]))
        return {}
    seconds, learned = trainers[order["name"]](order["chunks"])
    return {"seconds": seconds} if learned else {"error": "a trial stopped learning: its loss is not finite"}


def main(framework: str, threads: int) -> None:
    """Answer orders until their giver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the giver's to handle: it closes our standard input
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no reply
    try:
        peer = FRAMEWORKS[framework](threads)
        print(json.dumps({"about": peer.about}, default=str), file=replies, flush=True)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=replies, flush=True)
        return
    trainers: dict[str, Train] = {}
    for line in sys.stdin:
        try:
            reply = answer(peer, trainers, json.loads(line))
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
