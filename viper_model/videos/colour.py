"""A video file's pictures as RGB, whatever colours they were recorded in.

Cameras keep brightness and colour differences (Y'CbCr) by one of several matrices, in limited or full range, with 8 to
16 bits, and telephones with the light of the brightest things (HDR: HLG or PQ, ITU-R BT.2100). All of them come out as
BT.709's R'G'B' in full range with 8 bits, as a screen shows them. What a video doesn't say is taken as FFmpeg takes it:
BT.601's matrix, limited range.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import av.filter
import numpy as np

from viper_model.errors import ModelError

UNSAID, BT2020_MATRIX = 2, 9
MATRICES = (0, 1, UNSAID, 4, 5, 6, 7, BT2020_MATRIX)
"""That can be read, by number in ITU-T H.273: RGB, BT.709, FCC, BT.601 twice, SMPTE 240M, BT.2020."""
PQ, HLG = 16, 18
"""Transfer characteristics of HDR, by number in ITU-T H.273."""
BT2020, P3 = 9, 12
BT709_CHROMATICITIES = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
CHROMATICITIES = {
    BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""Of wide-gamut primaries by number in ITU-T H.273: x and y of red, green and blue, with D65 as white."""
WHITE = (0.3127, 0.3290)
WHITE_NITS = 203
"""Candela per square metre of a white sheet in HDR (ITU-R BT.2408), which becomes SDR's white."""
KNEE = 0.8
"""Light up to this share of white is kept by tone mapping; what is brighter is compressed into the rest."""
GAMMA = 2.4
"""Of an SDR screen (ITU-R BT.1886)."""
GRID = 33
"""Points on each side of the lookup table."""


class RgbPictures:
    """The pictures of one video stream, in order; interlaced ones get their missing lines from the time around them."""

    def __init__(self, stream: av.VideoStream) -> None:
        self._transfer = int(stream.codec_context.color_trc)
        self._primaries = int(stream.codec_context.color_primaries)
        self._like: tuple[object, ...] = ()
        self._interlaced = False
        self._graph: av.filter.Graph | None = None

    def push(self, frame: av.VideoFrame) -> Iterator[np.ndarray]:
        """The pictures, uint8 [height, width, 3], that are complete with this frame: none or one, rarely more.

        Raises ModelError where the colours can't be read.
        """
        if frame.colorspace == UNSAID and self._transfer in (PQ, HLG):
            frame.colorspace = BT2020_MATRIX
        self._interlaced |= frame.interlaced_frame
        like = (frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range))
        if (*like, self._interlaced) != self._like:
            yield from self.flush()
            self._graph = self._make_graph(*like)
            self._like = (*like, self._interlaced)
        assert self._graph is not None
        self._graph.vpush(frame)
        yield from self._pull()

    def flush(self) -> Iterator[np.ndarray]:
        """The pictures that wait for a next frame."""
        if self._graph:
            self._graph.vpush(None)
            yield from self._pull()
            self._graph = None

    def _pull(self) -> Iterator[np.ndarray]:
        assert self._graph is not None
        while True:
            try:
                yield self._graph.vpull().to_ndarray()
            except (av.BlockingIOError, av.EOFError):
                return

    def _make_graph(self, width: int, height: int, pixels: str, matrix: int, color_range: int) -> av.filter.Graph:
        if matrix not in MATRICES:
            raise ModelError("its colours are kept by a matrix that is not known: convert it to BT.709, as ffmpeg does")
        wide = self._primaries if self._primaries in CHROMATICITIES else BT2020 if self._transfer in (PQ, HLG) else None
        graph = av.filter.Graph()
        source = (
            f"video_size={width}x{height}:pix_fmt={pixels}:time_base=1/1000:colorspace={matrix}:range={color_range}"
        )
        nodes = [graph.add("buffer", source)]
        if self._interlaced:
            nodes.append(graph.add("bwdif", "mode=send_frame:deint=interlaced"))
        nodes.append(graph.add("scale"))
        if wide:
            nodes += [graph.add("format", "pix_fmts=rgb48le"), _lookup_table(graph, self._transfer, wide)]
            nodes.append(graph.add("scale"))
        nodes += [graph.add("format", "pix_fmts=rgb24"), graph.add("buffersink")]
        graph.link_nodes(*nodes).configure()
        return graph


def _lookup_table(graph: av.filter.Graph, transfer: int, primaries: int) -> av.filter.context.FilterContext:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.cube"
        levels = np.linspace(0, 1, GRID)
        blue, green, red = np.meshgrid(levels, levels, levels, indexing="ij")  # red is the fastest in such files
        table = to_bt709(np.stack([red, green, blue], -1).reshape(-1, 3), transfer, primaries)
        lines = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in table.tolist())
        file.write_text(f"LUT_3D_SIZE {GRID}\n{lines}\n")
        return graph.add("lut3d", f"file={file}")


def to_bt709(signal: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """R'G'B' in wide primaries, and perhaps HDR, as R'G'B' of an SDR screen with BT.709's; both float [n, 3] in 0 to 1.

    Colours that BT.709 hasn't are clipped. HDR is tone-mapped: see WHITE_NITS and KNEE.
    """
    light = _display_light(signal, transfer, primaries)
    to_709 = np.linalg.inv(_to_xyz(BT709_CHROMATICITIES)) @ _to_xyz(CHROMATICITIES[primaries])
    light = np.maximum(light @ to_709.T, 0)
    if transfer in (PQ, HLG):
        brightest = np.maximum(light.max(-1, keepdims=True), 1e-9)
        over = np.maximum(brightest - KNEE, 0) / (1 - KNEE)
        light = light / brightest * (np.minimum(brightest, KNEE) + (1 - KNEE) * -np.expm1(-over))
    return np.minimum(light, 1) ** (1 / GAMMA)


def _display_light(signal: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """The light that a screen shows for R'G'B', with white as 1, as ITU-R BT.2100 and BT.1886 say; float [n, 3]."""
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        power = signal ** (1 / m2)
        return 10_000 / WHITE_NITS * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
        luminance = scene @ _to_xyz(CHROMATICITIES[primaries])[1]
        return 1_000 / WHITE_NITS * luminance[:, None] ** 0.2 * scene
    return signal**GAMMA


def _to_xyz(chromaticities: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The matrix from linear RGB with such primaries to CIE XYZ, float [3, 3]."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in (*chromaticities, WHITE)]).T  # [XYZ, primary]
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])
