"""Processor time of recording pairs of arm and task: of an expert's video, and of a process that gets ready for it.

    .venv/bin/in_ros python -m benchmarks.speed.recording_arms [--pairs paper] [--every 6] [--videos 2] [--cores 2]

Of the pairs that a model learns from, every so-many-th is recorded, each in a process of its own as `viper record` does
it, into a folder that is deleted. Printed at the end: how long all of them take at the mean of these, with as many
videos as the file of pairs says, if nothing else runs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

import sim
from sim.record.episode import record_episode
from sim.record.files import EpisodeRecord, RecordingSettings, make_folder, write_episode
from viper_lab.evaluation.cross_embodiment.fitting import make_plans
from viper_lab.evaluation.cross_embodiment.pairs import load_pairs
from viper_lab.experiment.plan import Plan
from viper_model.videos.find import EXPERT

SIM = "robosuite"


def measure(job: tuple[Plan, int]) -> tuple[float, float, float]:
    """job: a pair's plan, how many videos. Returns seconds of processor time until the environment is there, and of a
    video, and a video's frames."""
    plan, videos = job
    os.environ["LP_NUM_THREADS"] = "1"  # as in the processes of `viper record`
    options = plan.settings["record"]
    size = (plan.settings["sim_node"]["image_size"],) * 2
    frames = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        sim.make(SIM, plan.task, arm=plan.arm, image_size=size) as environment,
    ):
        ready = time.process_time()
        settings = RecordingSettings(
            SIM,
            plan.task,
            EXPERT,
            size,
            action_repeat=1,
            options=environment.description.options,
            hold_steps=options["hold_steps"],
            disturbance_steps=options["disturbance_steps"],
        )
        make_folder(Path(folder))
        for index in range(videos):
            recording = record_episode(environment, settings, index, 0, 0.8, print)
            record = EpisodeRecord(
                **vars(settings), seed=recording.seed, task_return=recording.task_return, versions={}
            )
            write_episode(Path(folder), index, recording.video, record)
            frames += len(recording.video["image"])
        return ready, (time.process_time() - ready) / videos, frames / videos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", default="paper")
    parser.add_argument("--every", type=int, default=6)
    parser.add_argument("--videos", type=int, default=2)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    pairs = load_pairs(arguments.pairs, SIM)
    plans = make_plans(pairs, SIM, Path(), ())
    chosen = pairs.seen[:: arguments.every]
    print(f"{'pair':40} s to get ready   s a video   frames")
    measured = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        jobs = [(plans[pair], arguments.videos) for pair in chosen]
        for pair, row in zip(chosen, pool.imap(measure, jobs, chunksize=1), strict=True):
            measured.append(row)
            print(f"{pair!s:40} {row[0]:14.1f} {row[1]:11.2f} {row[2]:8.0f}", flush=True)
    ready, video, _ = (statistics.mean(column) for column in zip(*measured, strict=True))
    episodes = plans[chosen[0]].settings["record"]["episodes"]
    seconds = len(pairs.seen) * ((1 + arguments.cores) * ready + episodes * video) / arguments.cores
    print(f"mean: {ready:.1f} s to get ready, {video:.2f} s a video")
    print(
        f"{len(pairs.seen)} pairs × {episodes} videos on {arguments.cores} cores: {seconds / 60:.0f} minutes, of which "
        f"{len(pairs.seen) * (1 + arguments.cores) * ready / arguments.cores / 60:.0f} to get ready"
    )


if __name__ == "__main__":
    main()
