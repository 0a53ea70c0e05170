"""Videos in every format, written by the formats' own writers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow
import pyarrow.parquet
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

STEP = (Path(__file__).parents[3] / "msg" / "Step.msg").read_text()
CAMERA = "observation.images.front"


def numbered(time: int, height: int = 48, width: int = 64, first: int = 0) -> np.ndarray:
    """Frames that survive lossy coding with their numbers: uint8 [time, height, width, 3]."""
    level = 16 + 5 * ((first + np.arange(time)) % 44)
    return np.broadcast_to(level[:, None, None, None], (time, height, width, 3)).astype(np.uint8)


def numbers(frames: np.ndarray) -> list[int]:
    """The numbers of `numbered` frames, of which all pixels must agree."""
    level = (frames.astype(float) - 16) / 5
    assert np.abs(level - level.mean((1, 2, 3), keepdims=True)).max() < 0.5
    return level.mean((1, 2, 3)).round().astype(int).tolist()


def write_mp4(path: Path, frames: np.ndarray, rate: float, codec: str = "libx264") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate).limit_denominator(1001))
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())


def write_npz(path: Path, frames: np.ndarray, key: str = "image", **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{key: frames}, **arrays)


def write_bag(
    path: Path,
    frames: np.ndarray,
    rate: float,
    *,
    storage: StoragePlugin = StoragePlugin.MCAP,
    topics: Sequence[str] = ("/camera/image_raw",),
    compression: CompressionMode = CompressionMode.NONE,
    firsts: Sequence[int] | None = None,
    padding: int = 0,
) -> None:
    """A topic that ends in `compressed` has JPEG pictures.

    firsts: frames that begin an episode; no Step messages where None. padding: bytes at the end of each row.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    store = get_typestore(Stores.ROS2_KILTED)
    store.register(get_types_from_msg(STEP, "viper_ros/msg/Step"))
    kinds = store.types
    writer = Writer(path, version=9, storage_plugin=storage)
    if compression != CompressionMode.NONE:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        jpeg = [topic.endswith("compressed") for topic in topics]
        names = ["sensor_msgs/msg/CompressedImage" if each else "sensor_msgs/msg/Image" for each in jpeg]
        images = [writer.add_connection(t, name, typestore=store) for t, name in zip(topics, names, strict=True)]
        if firsts is not None:
            step_topic = topics[0].removesuffix("/compressed").rpartition("/")[0] + "/step"
            steps = writer.add_connection(step_topic, "viper_ros/msg/Step", typestore=store)
        episode = index = 0
        for number, frame in enumerate(frames):
            now = 10**18 + round(number / rate * 1e9)
            stamp = kinds["builtin_interfaces/msg/Time"](now // 10**9, now % 10**9)
            header = kinds["std_msgs/msg/Header"](stamp, "camera")
            received = now + 10**6
            for connection, name, compressed in zip(images, names, jpeg, strict=True):
                if compressed:
                    data = cv2.imencode(".jpg", frame[..., ::-1])[1].ravel()
                    message = kinds[name](header, "jpeg", data)
                else:
                    rows = np.pad(frame.reshape(len(frame), -1), ((0, 0), (0, padding)), constant_values=255)
                    height, width = frame.shape[:2]
                    message = kinds[name](header, height, width, "rgb8", 0, rows.shape[1], rows.ravel())
                writer.write(connection, received, store.serialize_cdr(message, name))
            if firsts is not None:
                index, episode = (0, episode + 1) if number in firsts else (index + 1, episode)
                step = kinds["viper_ros/msg/Step"](
                    header, "push", episode, index, number in firsts, False, False, False, 0.5, 0.05
                )
                for _ in range(2):  # Steps are published again for nodes that came late.
                    writer.write(steps, received - 2 * 10**6, store.serialize_cdr(step, "viper_ros/msg/Step"))


def lerobot_info(version: str, rate: float, cameras: Sequence[str], shape: tuple[int, ...], video_path: str) -> dict:
    features = {camera: {"dtype": "video", "shape": list(shape), "names": None} for camera in cameras}
    return {
        "codebase_version": version,
        "robot_type": "so100",
        "chunks_size": 1000,
        "fps": rate,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": video_path,
        "features": {**features, "action": {"dtype": "float32", "shape": [6], "names": None}},
    }


def write_lerobot_2(
    root: Path, episodes: Sequence[tuple[str, np.ndarray]], rate: float, cameras: Sequence[str] = (CAMERA,)
) -> None:
    """A dataset as LeRobot 0.3 lays it out: a video an episode. episodes: task and frames."""
    pattern = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    (root / "meta").mkdir(parents=True)
    info = lerobot_info("v2.1", rate, cameras, episodes[0][1].shape[1:], pattern)
    (root / "meta" / "info.json").write_text(json.dumps(info))
    tasks = list(dict.fromkeys(task for task, _ in episodes))
    lines = [json.dumps({"task_index": index, "task": task}) for index, task in enumerate(tasks)]
    (root / "meta" / "tasks.jsonl").write_text("\n".join(lines) + "\n")
    lines = []
    for index, (task, frames) in enumerate(episodes):
        lines.append(json.dumps({"episode_index": index, "tasks": [task], "length": len(frames)}))
        for camera in cameras:
            write_mp4(root / pattern.format(episode_chunk=0, video_key=camera, episode_index=index), frames, rate)
    (root / "meta" / "episodes.jsonl").write_text("\n".join(lines) + "\n")


def write_lerobot_3(root: Path, episodes: Sequence[tuple[str, np.ndarray]], rate: float, in_a_file: int = 3) -> None:
    """A dataset as LeRobot 0.4 lays it out: several episodes in a video. episodes: task and frames."""
    pattern = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    (root / "meta" / "episodes" / "chunk-000").mkdir(parents=True)
    info = lerobot_info("v3.0", rate, (CAMERA,), episodes[0][1].shape[1:], pattern)
    (root / "meta" / "info.json").write_text(json.dumps(info))
    tasks = list(dict.fromkeys(task for task, _ in episodes))
    table = pyarrow.table({"task_index": range(len(tasks)), "__index_level_0__": tasks})
    pyarrow.parquet.write_table(table, root / "meta" / "tasks.parquet")
    rows = []
    for begin in range(0, len(episodes), in_a_file):
        together = episodes[begin : begin + in_a_file]
        file = begin // in_a_file
        write_mp4(
            root / pattern.format(video_key=CAMERA, chunk_index=0, file_index=file),
            np.concatenate([frames for _, frames in together]),
            rate,
        )
        second = 0.0
        for offset, (task, frames) in enumerate(together):
            rows.append(
                {
                    "episode_index": begin + offset,
                    "tasks": [task],
                    "length": len(frames),
                    f"videos/{CAMERA}/chunk_index": 0,
                    f"videos/{CAMERA}/file_index": file,
                    f"videos/{CAMERA}/from_timestamp": second,
                    f"videos/{CAMERA}/to_timestamp": second + len(frames) / rate,
                }
            )
            second += len(frames) / rate
    path = root / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


METADATA = "camera_msgs/msg/Metadata"


def write_camera(
    path: Path,
    frames: np.ndarray,
    stamps: Sequence[int] | None = None,
    *,
    received: Sequence[int] | None = None,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    metadata: bool = False,
    more: dict[str, tuple[str, Sequence[bytes]]] | None = None,
) -> None:
    """A bag of a camera on /cam/image_raw, ten pictures a second.

    stamps: of the headers, in nanoseconds; when each was received where None. metadata: a topic of the camera's own
    type beside it. more: other CompressedImage topics, each with its format and its pictures' bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    store = get_typestore(Stores.ROS2_KILTED)
    store.register(get_types_from_msg("string json\n", METADATA))
    kinds = store.types
    times = received if received is not None else [10**18 + number * 10**8 for number in range(len(frames))]
    writer = Writer(path, version=9, storage_plugin=storage)
    if compression != CompressionMode.NONE:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        camera = writer.add_connection("/cam/image_raw", "sensor_msgs/msg/Image", typestore=store)
        told = writer.add_connection("/cam/metadata", METADATA, typestore=store) if metadata else None
        others = {
            topic: writer.add_connection(topic, "sensor_msgs/msg/CompressedImage", typestore=store)
            for topic in more or ()
        }
        for index, (time, frame) in enumerate(zip(times, frames, strict=True)):
            stamp = kinds["builtin_interfaces/msg/Time"](*divmod(time if stamps is None else stamps[index], 10**9))
            header = kinds["std_msgs/msg/Header"](stamp, "camera")
            height, width = frame.shape[:2]
            message = kinds["sensor_msgs/msg/Image"](header, height, width, "rgb8", 0, 3 * width, frame.ravel())
            writer.write(camera, time, store.serialize_cdr(message, "sensor_msgs/msg/Image"))
            if told:
                writer.write(told, time, store.serialize_cdr(kinds[METADATA]("{}"), METADATA))
            for topic, connection in others.items():
                form, pictures = (more or {})[topic]
                name = "sensor_msgs/msg/CompressedImage"
                picture = kinds[name](header, form, np.frombuffer(pictures[index], np.uint8))
                writer.write(connection, time, store.serialize_cdr(picture, name))


def write_yuv(
    path: Path, frames: np.ndarray, weights: tuple[float, float], *, pixels: str, full: bool, **tags: int
) -> None:
    """R'G'B' (float [time, height, width, 3] in 0 to 1) as Y'CbCr by the formulas of ITU-R BT.601 and BT.709, lossless.

    weights: of red and blue. pixels: FFmpeg's name of a planar format. full: range. tags: what the file says of it.
    """
    red, blue = weights
    luma = frames @ [red, 1 - red - blue, blue]
    chroma = [(frames[..., 2] - luma) / (2 - 2 * blue), (frames[..., 0] - luma) / (2 - 2 * red)]
    bits = 10 if "10" in pixels else 8
    high = 2**bits - 1
    planes = [luma * high] + [c * high + 2 ** (bits - 1) for c in chroma]
    if not full:
        planes = [(16 + 219 * luma) * 2 ** (bits - 8)] + [(128 + 224 * c) * 2 ** (bits - 8) for c in chroma]
    if "444" not in pixels:
        planes[1:] = [c[:, :: 2 if "420" in pixels else 1, ::2] for c in planes[1:]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        for name, value in {**tags, "color_range": 2 if full else 1}.items():
            setattr(stream.codec_context, name, value)
        for t in range(len(frames)):
            frame = av.VideoFrame(stream.width, stream.height, pixels)
            for target, plane in zip(frame.planes, planes, strict=True):
                rows = plane[t].round().clip(0, high).astype("<u2" if bits == 10 else "u1")
                width = target.line_size // rows.itemsize
                target.update(np.pad(rows, ((0, 0), (0, width - rows.shape[1]))).tobytes())
            frame.colorspace, frame.color_range = tags["colorspace"], 2 if full else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
