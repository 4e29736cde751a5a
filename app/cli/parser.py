"""The command line: a row for each command, and the parser that is made of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.cli.options import add_options
from engine import __version__
from engine.cancel import CancelToken
from engine.lora.tools import TOOLS, Tool
from engine.settings import ExtractionSettings, HardwareSettings

Run = Callable[[argparse.Namespace, CancelToken], dict[str, Any] | None]


@dataclass(frozen=True)
class Action:
    """Something that a command can do: its name, its line in the help, and a function that adds its arguments."""

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]


@dataclass(frozen=True)
class Command(Action):
    """A command.

    Attributes:
        run: does it; returns what ``--json`` prints. It imports the command's module when it is called, so that the
            window and the help need not wait for it.
    """

    run: Run


def all_commands() -> tuple[Command, ...]:
    """The commands of the program, and one for each tool on LoRA files."""
    return (*COMMANDS, *map(_tool_command, TOOLS))


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; the command's function is the parsed ``run``."""
    parser = argparse.ArgumentParser(
        prog="lora-extractor",
        description="Extract a LoRA from a fine-tuned model and its original, and know how good it is. "
        "Without a command the window opens; files given as arguments fill its pickers.",
    )
    parser.add_argument("--version", action="version", version=f"LoRA Extractor {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in all_commands():
        parser_of_command = commands.add_parser(command.name, help=command.help)
        parser_of_command.set_defaults(run=command.run)
        command.add_arguments(parser_of_command)
    return parser


def _extract(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    from app.cli.commands import extract

    return extract(parsed, cancel)


def _export(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    from app.cli.commands import export

    return export(parsed, cancel)


def _inspect(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    from app.cli.commands import inspect

    return inspect(parsed, cancel)


def _verify(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    from app.cli.commands import verify

    return verify(parsed, cancel)


def _find_original(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    from app.cli.find_original import run_search

    return run_search(parsed, cancel)


def _profiles(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    from app.cli.profiles import ACTIONS

    return ACTIONS[parsed.action](parsed)


def _cache(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    from app.cli.cache import ACTIONS

    return ACTIONS[parsed.action](parsed)


def _demo(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any] | None:
    from app.cli.demo import run_demo

    return run_demo(parsed, cancel)


def _tool_command(tool: Tool) -> Command:
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("loras", type=Path, nargs="+", metavar="LORA")
        _add_output_dir(parser)
        add_options(parser, "tool", tool.options)
        _add_json(parser)

    def run(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
        from app.cli.tools import run_tool

        return run_tool(tool, parsed, cancel)

    return Command(tool.key, tool.help, add_arguments, run)


def _add_extract(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("finetuned", type=Path, metavar="FINETUNED", help="the fine-tuned model, or its folder")
    parser.add_argument("original", type=Path, metavar="ORIGINAL", help="the model it was made from, or its folder")
    parser.add_argument("--profile", metavar="NAME", help="hardware profile; single options override it")
    _add_extraction(parser)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pair", metavar="PAIR", help="the pair's number, or the start of it, as `cache show` prints it")
    _add_extraction(parser)


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("original", type=Path, nargs="?", metavar="ORIGINAL")
    parser.add_argument("--deep", action="store_true", help="read the weights too, and tell which differ")
    _add_json(parser)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lora", type=Path, metavar="LORA")
    parser.add_argument("finetuned", type=Path, metavar="FINETUNED")
    parser.add_argument("original", type=Path, metavar="ORIGINAL")
    _add_json(parser)


def _add_find_original(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Compare a few rows of every weight of MODEL with those of every model in the folders and below them, and\n"
        "name the nearest; or, where MODEL is a merge of several of them, how much it has of each."
    )
    parser.epilog = (
        "example:\n  lora-extractor find-original my-finetune.safetensors ~/models/checkpoints /mnt/models --json\n\n"
        'Nothing near is an answer too: the exit code is 0, and "best" in the JSON is null.'
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="the fine-tuned model, or its folder")
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="where its original may lie")
    _add_json(parser)


def _add_profiles(parser: argparse.ArgumentParser) -> None:
    _add_actions(parser, PROFILE_ACTIONS)


def _add_cache(parser: argparse.ArgumentParser) -> None:
    _add_actions(parser, CACHE_ACTIONS)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output-dir", type=Path, default=Path("demo-output"), metavar="DIR", help="[default: demo-output]"
    )
    parser.add_argument("--terminal", action="store_true", help="stay in the terminal even where there is a screen")
    _add_json(parser)


def _add_actions(parser: argparse.ArgumentParser, actions: Iterable[Action]) -> None:
    added = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action in actions:
        parser_of_action = added.add_parser(action.name, help=action.help)
        action.add_arguments(parser_of_action)
        _add_json(parser_of_action)


def _add_nothing(parser: argparse.ArgumentParser) -> None:
    """For what has no arguments of its own."""


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE")


def _add_name_and_file(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    _add_file(parser)


def _add_name_and_values(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    add_options(parser, "hardware", HardwareSettings)


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("size", metavar="SIZE", help="such as 20GB or 20GiB")


def _add_extraction(parser: argparse.ArgumentParser) -> None:
    """Where to, what and how: the options of everything that writes a LoRA."""
    _add_output_dir(parser)
    add_options(parser, "LoRA", ExtractionSettings)
    add_options(parser, "hardware", HardwareSettings)
    _add_json(parser)


def _add_output_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output-dir", type=Path, default=Path(), metavar="DIR", help="output folder [default: the current folder]"
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout and nothing else")


COMMANDS = (
    Command("extract", "extract a LoRA from two models", _add_extract, _extract),
    Command("export", "make another LoRA from the cache, without the two models", _add_export, _export),
    Command("inspect", "tell what a model holds, or what two models have in common", _add_inspect, _inspect),
    Command("verify", "measure a LoRA against the two models", _add_verify, _verify),
    Command("find-original", "find out which model a fine-tune was made from", _add_find_original, _find_original),
    Command("profiles", "list, show, save, delete, import or export hardware profiles", _add_profiles, _profiles),
    Command("cache", "show, clear or limit what is kept of earlier extractions", _add_cache, _cache),
    Command("demo", "extract a LoRA from the demo pair and show that it works", _add_demo, _demo),
)
PROFILE_ACTIONS = (
    Action("list", "name all profiles", _add_nothing),
    Action("show", "print a profile's values", _add_name),
    Action("save", "make or change a profile of your own", _add_name_and_values),
    Action("delete", "remove a profile of your own", _add_name),
    Action("import", "add profiles from an exported file", _add_file),
    Action("export", "write a profile to a file", _add_name_and_file),
)
CACHE_ACTIONS = (
    Action("show", "tell what is kept of which models", _add_nothing),
    Action("clear", "remove everything that no extraction is using", _add_nothing),
    Action("limit", "set how much may be kept; the longest unused goes first", _add_size),
)
