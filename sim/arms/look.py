"""How the arms and their table look: from where, and drawn with what."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass

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
    """A camera that faces the arm: it looks along -x and downwards. Fixed in the world, whatever arm there is."""

    look_at: tuple[float, float, float]
    """Metres."""
    distance: float
    """Metres."""
    elevation: float = 22.0
    """Degrees above the point looked at."""

    def add_to(self, mjcf: ET.Element) -> None:
        """Put this camera into a model."""
        sine, cosine = math.sin(math.radians(self.elevation)), math.cos(math.radians(self.elevation))
        x, y, z = self.look_at
        world = mjcf.find("worldbody")
        assert world is not None
        attributes = {
            "name": CAMERA,
            "pos": f"{x + self.distance * cosine} {y} {z + self.distance * sine}",
            "xyaxes": f"0 1 0 {-sine} 0 {cosine}",
        }
        ET.SubElement(world, "camera", attributes)


def choose_geoms(model: mujoco.MjModel, *, fast: bool) -> None:
    """Leave in the picture what belongs there: what is for looking at, without sites and other marks.

    `fast`: bodies that are drawn as fine meshes are drawn as what they collide as, in the colour of the largest
    mesh. Most of the time of a frame goes into those meshes.
    """
    model.site_group[:] = _HIDDEN
    groups = model.geom_group.copy()
    model.geom_group[groups != _VISUAL] = _HIDDEN
    for body in range(model.nbody):
        geoms = np.arange(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body])
        shown, colliding = geoms[groups[geoms] == _VISUAL], geoms[groups[geoms] == _COLLISION]
        if len(shown) == 0 and not _is_part_of_an_arm(model, body):
            model.geom_group[colliding] = _VISUAL  # objects with one set of geoms for both
        meshes = [geom for geom in shown if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH]
        if fast and meshes and len(colliding):
            largest = max(meshes, key=lambda geom: int(model.mesh_facenum[model.geom_dataid[geom]]))
            model.geom_group[meshes] = _HIDDEN
            model.geom_group[colliding] = _VISUAL
            model.geom_matid[colliding] = -1
            model.geom_rgba[colliding] = _colour(model, largest)


def _is_part_of_an_arm(model: mujoco.MjModel, body: int) -> bool:
    return model.body(body).name.startswith(("robot", "gripper", "fixed_mount"))


def _colour(model: mujoco.MjModel, geom: int) -> np.ndarray:
    material = model.geom_matid[geom]
    return model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom]
