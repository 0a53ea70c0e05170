"""Frames of a MuJoCo model, without a screen."""

from __future__ import annotations

from sim import opengl

opengl.prepare_to_draw()

import atexit
import math
import weakref

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.env import SimError

_FINE = 64
"""Frames of this size and more are drawn at their own size."""


class FrameRenderer:
    """Draws one model from one camera at one size, and keeps its OpenGL context until `close`.

    `fast` leaves out shadows, reflections and multisampling, which take most of the time of software rendering (it
    writes the model's `vis.quality`), and averages frames of less than 64 pixels from larger ones: thin limbs would
    fall between the pixels. Otherwise frames look as the model's author meant.
    """

    def __init__(self, model: mujoco.MjModel, image_size: tuple[int, int], camera: int | str, *, fast: bool) -> None:
        self._oversampling = max(1, math.ceil(_FINE / min(image_size))) if fast else 1
        height, width = (pixels * self._oversampling for pixels in image_size)
        self._model = model
        self.camera = _camera_index(model, camera)
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = self.camera
        model.vis.global_.offheight = max(height, model.vis.global_.offheight)
        model.vis.global_.offwidth = max(width, model.vis.global_.offwidth)
        if fast:
            model.vis.quality.shadowsize = 0
            model.vis.quality.offsamples = 0
        try:
            self._gl = mujoco.GLContext(width, height)
            self._gl.make_current()
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
            raise SimError(f"{opengl.advice()} ({error})") from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=1000)
        if fast:
            self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
            self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._options = mujoco.MjvOption()
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        self._bottom_up = np.empty((height, width, 3), np.uint8)
        # Also where nobody closes it: once the drivers are gone, what is left fails loudly. They go at the
        # interpreter's exit, after what was registered since; finalizers by themselves may run later than that.
        self._free = weakref.finalize(self, _free, self._gl, self._context)
        atexit.register(self._free)

    def upload_terrain(self) -> None:
        """Tell the graphics of height fields that have changed in the model."""
        self._gl.make_current()
        for field in range(self._model.nhfield):
            mujoco.mjr_uploadHField(self._model, self._context, field)

    def render(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        """A new uint8 [height, width, 3] RGB frame of `data`'s time step."""
        self._gl.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, data, self._options, None, self._camera, everything, self._scene)
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        mujoco.mjr_readPixels(self._bottom_up, None, self._viewport, self._context)
        frame = self._bottom_up[::-1]
        if self._oversampling == 1:
            return frame.copy()
        height, width = (pixels // self._oversampling for pixels in frame.shape[:2])
        blocks = frame.reshape(height, self._oversampling, width, self._oversampling, 3)
        mean: NDArray[np.uint8] = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
        return mean

    def close(self) -> None:
        self._free()
        atexit.unregister(self._free)


def _free(gl: mujoco.GLContext, context: mujoco.MjrContext) -> None:
    # In their own context: in whichever happened to be current, this would delete another environment's textures.
    gl.make_current()
    context.free()
    gl.free()


def _camera_index(model: mujoco.MjModel, camera: int | str) -> int:
    names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_CAMERA, index) for index in range(model.ncam)]
    index = names.index(camera) if camera in names else camera
    if not isinstance(index, int) or not 0 <= index < model.ncam:
        raise SimError(f"no camera {camera!r}: choose 0 to {model.ncam - 1} or one of {', '.join(filter(None, names))}")
    return index
