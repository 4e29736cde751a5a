"""Commands made from the tools on LoRA files: one for each row of `engine.lora.tools.TOOLS`."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any

from app.cli.options import given_values, validated
from app.cli.progress import Console
from engine.cancel import CancelToken
from engine.lora.lora_file import LoraFile
from engine.lora.tools import Tool, ToolProgress, ToolResult


def run_tool(tool: Tool, parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    """``lora-extractor <tool> LORA...``."""
    console = Console()
    options = validated(tool.options, given_values(parsed, tool.options))
    result: ToolResult | None = None
    with ExitStack() as stack, console.counting(tool.key, None) as step:
        files = [stack.enter_context(LoraFile(path)) for path in parsed.loras]
        for event in tool.run(files, options, parsed.output_dir, cancel):
            if isinstance(event, ToolProgress):
                step(event.name, event.total)
            else:
                result = event
    assert result is not None, "a tool ends with its result or an exception"
    for line in result.lines:
        console.line(line)
    for path in result.outputs:
        console.line(str(path))
    return {"outputs": [str(path.resolve()) for path in result.outputs], **result.figures}
