"""Groups of trials on several devices at once: a thread each, whose news all come to the one who asks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import TypeAlias

from lstm_jax.studies.collect import Row
from lstm_jax.studies.plan import Trial

Running: TypeAlias = list[tuple[Trial, float]]
OnRow = Callable[[Trial, Row], None]
OnRunning = Callable[[Running], None]
Train = Callable[[Sequence[Trial], OnRow, OnRunning, int], None]
"""``train(trials, on_row, on_running, worker)``: train all of them, and say so."""

PATIENCE_SECONDS = 30.0
"""How long a stopped crew is waited for: more than an epoch, less than anybody's patience."""


class _Stopped(Exception):
    """Ends a worker at the next news it has."""


class Crew:
    """Iterate over ``(worker, (trial, row))`` and ``(worker, running)`` until every group is done.

    A worker takes the next group when it has done one, so none waits for another. What is raised in one is raised by
    the iteration. It goes on when its news were taken in, so a row is on disk before the next trial is begun. Leaving
    the ``with`` block early stops all of them at their next news.
    """

    def __init__(self, train: Train, groups: Sequence[Sequence[Trial]], workers: int) -> None:
        self._train, self._groups, self._stop = train, deque(groups), threading.Event()
        self._news: SimpleQueue = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, args=(worker,), daemon=True)
            for worker in range(min(workers, len(groups)))
        ]

    def __enter__(self) -> Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def __iter__(self) -> Iterator[tuple[int, tuple[Trial, Row] | Running]]:
        left = len(self._threads)
        while left:
            worker, news, taken = self._news.get()
            if isinstance(news, BaseException):
                raise news
            if news is None:
                left -= 1
            else:
                yield worker, news
                taken.set()

    def _work(self, worker: int) -> None:
        try:
            while self._groups and not self._stop.is_set():
                try:
                    group = self._groups.popleft()
                except IndexError:  # another worker was faster
                    break
                self._train(group, lambda *row: self._tell(worker, row), lambda now: self._tell(worker, now), worker)
                self._tell(worker, [])
            self._news.put((worker, None, None))
        except _Stopped:
            pass
        except BaseException as error:  # it belongs to who iterates
            self._news.put((worker, error, None))

    def _tell(self, worker: int, news: object) -> None:
        taken = threading.Event()
        self._news.put((worker, news, taken))
        while not taken.wait(0.05):
            if self._stop.is_set():
                raise _Stopped
