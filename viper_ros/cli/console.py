"""Where commands say what came out."""

from rich.console import Console

console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
"""Says names and paths as they are: brackets and colons mean nothing, and a path stays in one piece."""
