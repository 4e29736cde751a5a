"""The rows that the command line is made of, against the functions that do what they say."""

from __future__ import annotations

from app.cli import cache, profiles
from app.cli.parser import CACHE_ACTIONS, COMMANDS, PROFILE_ACTIONS, build_parser


def test_every_action_has_a_function_and_every_function_an_action() -> None:
    assert [action.name for action in PROFILE_ACTIONS] == list(profiles.ACTIONS)
    assert [action.name for action in CACHE_ACTIONS] == list(cache.ACTIONS)


def test_what_is_parsed_runs_the_function_of_its_row() -> None:
    lines = {
        "extract": "a b", "export": "1", "inspect": "a", "verify": "a b c", "profiles": "list", "cache": "show",
        "demo": "", "find-original": "a b",
    }  # fmt: skip
    runs = {name: build_parser().parse_args([name, *line.split()]).run for name, line in lines.items()}
    assert runs == {command.name: command.run for command in COMMANDS}
