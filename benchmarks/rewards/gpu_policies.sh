#!/usr/bin/env bash
# From videos to policies on one GPU, in some 14 minutes: one video model of two tasks, then a policy for each.
#
#     benchmarks/rewards/gpu_policies.sh FOLDER
#
# leaves the check of the reward and the reports in FOLDER. The variables make it smaller, to try it without a GPU.
set -euo pipefail
out=$(realpath -m "${1:?the folder for the results}")
: "${TASKS:=pendulum_swingup cartpole_swingup}" "${SIZE:=dmc}" "${FIT_STEPS:=2000}" "${DEVICE:=cuda}"
: "${AGENT_SIZE:=paper}" "${IMAGE_SIZE:=64}" "${ENVIRONMENTS:=8}" "${STEPS:=40000}" "${EPISODES:=60}"
mkdir -p "$out"
cd "$(dirname "$0")/../.."
viper=$PWD/.venv/bin/viper
for task in $TASKS; do
    for behaviour in expert background random parked stopped; do
        "$viper" record task:="$task" behaviour:=$behaviour --set record.episodes="$EPISODES"
    done
done
options=()
for task in $TASKS; do options+=(task:="$task"); done
"$viper" fit data:=data/dmc model:=models/gpu "${options[@]}" size:="$SIZE" tokenizer:=patches background:=recorded \
    code_model_steps:="$FIT_STEPS" background_steps:="$FIT_STEPS" device:="$DEVICE"
cp models/gpu/check.json "$out/"
for task in $TASKS; do
    "$viper" train task:="$task" name:="gpu_$task" reward_model:=models/gpu environments:="$ENVIRONMENTS" \
        steps:="$STEPS" --set policy_node.size="$AGENT_SIZE" --set policy_node.image_size="$IMAGE_SIZE" \
        --set policy_node.device="$DEVICE" --set reward_node.device="$DEVICE"
    cp "runs/gpu_$task/report.json" "$out/$task.json"
done
