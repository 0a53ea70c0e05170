"""How the arms and their table look: from where, and drawn with what."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

CAMERA = "front"
"""The camera that this package adds to a model."""

_HIDDEN = 4
"""A group that MuJoCo leaves out of its pictures."""
_COLLISION, _VISUAL = 0, 1
"""The groups in which robosuite has its geoms."""


@dataclass(frozen=True)
class View:
    """A camera that looks at the table from the front, or from the side, and downwards. Fixed in the environment,
    whatever arm there is."""

    look_at: tuple[float, float, float]
    """Metres."""
    distance: float
    """Metres."""
    elevation: float = 22.0
    """Degrees above the point looked at."""
    azimuth: float = 0.0
    """Degrees from the front, where the camera faces the arm, to the arm's left."""

    def add_to(self, mjcf: ET.Element) -> None:
        """Put this camera into a model."""
        up, across = math.sin(math.radians(self.elevation)), math.cos(math.radians(self.elevation))
        left, front = math.sin(math.radians(self.azimuth)), math.cos(math.radians(self.azimuth))
        x, y, z = (
            at + self.distance * away
            for at, away in zip(self.look_at, (across * front, across * left, up), strict=True)
        )
        environment = mjcf.find("worldbody")
        assert environment is not None
        attributes = {
            "name": CAMERA,
            "pos": f"{x} {y} {z}",
            "xyaxes": f"{-left} {front} 0 {-up * front} {-up * left} {across}",
        }
        ET.SubElement(environment, "camera", attributes)


def leave_out_meshes(mjcf: ET.Element) -> None:
    """Take the arm's meshes that are only for looking at out of a model, and show what the arm collides as instead.

    Its parts get the colours of their largest meshes, by the files' sizes. Most of the time of a frame, and of making
    an environment, goes into those meshes.
    """
    files = {mesh.get("name", ""): mesh.get("file", "") for mesh in mjcf.iter("mesh")}
    colours = {material.get("name", ""): material.get("rgba", "") for material in mjcf.iter("material")}

    def size(geom: ET.Element) -> int:
        return Path(files[geom.get("mesh", "")]).stat().st_size

    for body in mjcf.iter("body"):
        geoms = body.findall("geom")
        meshes = [geom for geom in geoms if geom.get("type") == "mesh" and geom.get("group") == str(_VISUAL)]
        colliding = [geom for geom in geoms if geom.get("group", "0") == str(_COLLISION)]
        if _is_part_of_an_arm(body.get("name", "")) and meshes and colliding:
            largest = max(meshes, key=size)
            colour = colours.get(largest.get("material", "")) or largest.get("rgba") or "0.5 0.5 0.5 1"
            for geom in meshes:
                # robosuite asks for them by name: a point that nobody sees keeps it.
                del geom.attrib["mesh"]
                geom.attrib |= {"type": "sphere", "size": "0.001", "group": str(_HIDDEN)}
            for geom in colliding:
                geom.set("rgba", colour)
                geom.set("group", str(_VISUAL))
    used = {geom.get("mesh") for geom in mjcf.iter("geom")}
    for assets in mjcf.iter("asset"):
        for mesh in assets.findall("mesh"):
            if mesh.get("name") not in used:
                assets.remove(mesh)


def hide_marks(model: mujoco.MjModel) -> None:
    """Leave in the picture what is for looking at, without sites, collision shapes and other marks."""
    model.site_group[:] = _HIDDEN
    groups = model.geom_group.copy()
    model.geom_group[groups != _VISUAL] = _HIDDEN
    for body in range(model.nbody):
        geoms = np.arange(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body])
        if not (groups[geoms] == _VISUAL).any() and not _is_part_of_an_arm(model.body(body).name):
            # Objects with one set of geoms for both.
            model.geom_group[geoms[groups[geoms] == _COLLISION]] = _VISUAL


def _is_part_of_an_arm(body: str) -> bool:
    return body.startswith(("robot", "gripper", "fixed_mount"))
