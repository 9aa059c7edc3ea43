"""From the command line to a verb, and from what happened to an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType, MappingProxyType
from typing import NoReturn

from lstm_jax.cli.pairs import split_pairs
from lstm_jax.names import nearest

DONE, ERROR, USAGE, NOT_FINITE = 0, 1, 2, 3
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM

VERBS = MappingProxyType(
    {
        "train": "train one network, or several trials of it in one program",
        "study": "train several variants on several tasks and compare them",
        "report": "make table and figure anew from the results in a folder",
        "bench": "times and sizes, side by side with other libraries",
        "data": "list data sets, prepare one, take them out of packages",
        "native": "compile the CPU kernel, which makes cells faster, up to several times",
        "tasks": "list the tasks made of random numbers",
        "transcribe": "what a trained network hears in WAV files",
        "generate": "what a network that learned a text goes on to write",
        "variants": "list the cells",
    }
)
"""Each verb is a module of its name beside this one, with ``run(arguments) -> exit code``."""

TRACEBACK = "LSTM_JAX_TRACEBACK"


class Terminated(BaseException):
    """SIGTERM came; what was finished is on disk."""


def usage() -> str:
    """What ``lstm-jax --help`` prints."""
    verbs = "\n".join(f"  {name:<10} {summary}" for name, summary in VERBS.items())
    return (
        "usage: lstm-jax VERB [OPTIONS]\n\nThe laboratory for the LSTM on JAX.\n\n"
        f"{verbs}\n\n`lstm-jax VERB --help` lists the options of a verb with their defaults.\n"
        f"--version prints the version; --traceback (or {TRACEBACK}=1) shows where an error came from.\n"
        "Exit codes: 0 done, 1 error, 2 usage, 3 stopped by NaN, 130/143 interrupted."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["--traceback"]:  # before the verb as well as after it
        arguments = [*arguments[1:2], *arguments[:1], *arguments[2:]] if arguments[1:] else []
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return DONE if arguments else USAGE
    if arguments[0] == "--version":
        import lstm_jax

        print(f"lstm_jax {lstm_jax.__version__}")
        return DONE
    verb, *rest = arguments
    if verb not in VERBS:
        complain(f"unknown verb {verb!r}; {nearest(verb, VERBS)}. `lstm-jax --help` says what they do")
        return USAGE
    return guarded(lambda left: importlib.import_module(f"lstm_jax.cli.{verb}").run(left), split_pairs(rest))


def guarded(command: Callable[[list[str]], int], arguments: Sequence[str]) -> int:
    """Run a command: its exit code, or one clear line instead of a traceback and the code that tells what happened."""
    arguments = list(arguments)
    show = "--traceback" in arguments or os.environ.get(TRACEBACK, "") not in ("", "0")
    arguments = [argument for argument in arguments if argument != "--traceback"]
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        return command(arguments)
    except SystemExit as stop:  # the parser's: it has printed what was wrong, or the help
        return stop.code if isinstance(stop.code, int) else DONE if stop.code is None else ERROR
    except KeyboardInterrupt:
        complain("interrupted; what was finished is kept, and the same command continues")
        return INTERRUPTED
    except Terminated:
        complain("terminated; what was finished is kept, and the same command continues")
        return TERMINATED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if show:
            traceback.print_exc()
        complain(f"{_sentence(error)}{'' if show else _where(error)}")
        return _code(error)
    finally:
        signal.signal(signal.SIGTERM, previous)


def complain(sentence: str) -> None:
    """One line on standard error."""
    print(f"lstm-jax: {sentence}", file=sys.stderr)


EXPECTED = (ValueError, TypeError, OSError, LookupError, ImportError, RuntimeError, FloatingPointError)


def _sentence(error: Exception) -> str:
    # str(KeyError) is the repr of its argument.
    plain = isinstance(error, KeyError) and type(error).__str__ is KeyError.__str__ and error.args
    text = " ".join(str(error.args[0] if plain else error).split())
    return text if isinstance(error, EXPECTED) and text else f"{type(error).__name__}: {text}"


def _code(error: Exception) -> int:
    from lstm_jax.names import UnknownName, UsageError

    if isinstance(error, UsageError | UnknownName):
        return USAGE
    return NOT_FINITE if isinstance(error, FloatingPointError) else ERROR


def _where(error: Exception) -> str:
    return "" if isinstance(error, EXPECTED) else " (--traceback shows where)"


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
