"""The words of the command line: `seda <noun> <verb>`, with one-line errors."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from seda_cli.terminal import complain

Run = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """Says what is wrong on one line, and where help is."""

    def error(self, message: str) -> NoReturn:
        complain(f"seda: {message}; see `{self.prog} --help`")
        self.exit(2)


class Verbs:
    """The verbs of one noun. The first one added is meant when none is said."""

    def __init__(self, nouns: Any, noun: str, help: str) -> None:
        parser: Parser = nouns.add_parser(noun, help=help, description=help)
        self._words = parser.add_subparsers(metavar="VERB", required=True)
        self._names: list[str] = []

    def add(self, verb: str, run: Run, help: str) -> argparse.ArgumentParser:
        parser: Parser = self._words.add_parser(verb, help=help, description=run.__doc__ or help)
        parser.set_defaults(run=run)
        parser.add_argument("--json", action="store_true", help="for machines")
        parser.add_argument("--nats-url", help="instead of NATS_URL")
        parser.add_argument("--state", type=Path, help="the folder of another `make run`")
        self._names.append(verb)
        return parser

    def completed(self, words: list[str], *, takes_words: bool) -> list[str]:
        """With the first verb where none was said. `takes_words` when that one takes a word."""
        if words in (["-h"], ["--help"]) or (words and words[0] in self._names):
            return words
        if words and not words[0].startswith("-") and not takes_words:
            return words
        return [self._names[0], *words]
