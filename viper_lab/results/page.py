"""What self-contained pages are made of."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import jinja2

KINDS = {".png": "image/png", ".mp4": "video/mp4"}


@dataclass(frozen=True)
class Clip:
    """A video for a page."""

    title: str
    path: Path

    @property
    def source(self) -> str:
        return data_url(self.path)


def data_url(path: Path) -> str:
    """A plot (png) or video (mp4) as a URL that holds all of it."""
    return f"data:{KINDS[path.suffix]};base64," + base64.b64encode(path.read_bytes()).decode()


def template(name: str, folder: Path = Path(__file__).parent) -> jinja2.Template:
    """A page's template, by the name of its file in a folder."""
    loader = jinja2.FileSystemLoader(folder)
    return jinja2.Environment(loader=loader, autoescape=True).get_template(name)
