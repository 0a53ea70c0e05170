#!/usr/bin/env bash
# From videos to policies on one GPU, side by side, without ROS: a video model for each task, a policy for each seed.
#
#     benchmarks/rewards/gpu_policies.sh FOLDER TASK:SEED:STEPS...
#
# as in: out pendulum_swingup:{0,1,2}:24000 cartpole_swingup:{0,1,2}:40000. Leaves what each run prints in FOLDER/*.log,
# its report in FOLDER/*.json. A model that is in FOLDER/models/dmc/<task> already is used as it is. After SECONDS_EACH a
# run is stopped where it is. DEVICE=cpu: to try it without a GPU. Two or three at a time: more only share the GPU.
set -euo pipefail
out=$(realpath -m "${1:?the folder for the results}")
shift
: "${PYTHON:=.venv/bin/in_ros python}" "${SECONDS_EACH:=800}" "${DEVICE:=auto}" "${ENVIRONMENTS:=4}"
export OMP_NUM_THREADS=1
mkdir -p "$out"
cd "$(dirname "$0")/../.."
devices=()
for section in policy_node reward_node fit; do devices+=(--set "$section.device=$DEVICE"); done

runs=()
for each in "$@"; do
    IFS=: read -r task seed steps <<<"$each"
    $PYTHON -m benchmarks.plain_loop --task "$task" --name "${task}_$seed" --directory "$out" --steps "$steps" \
        --environments "$ENVIRONMENTS" --seconds "$SECONDS_EACH" --set policy_node.seed="$seed" \
        --set sim_node.seed=$((100 * seed)) "${devices[@]}" >"$out/${task}_$seed.log" 2>&1 &
    runs+=("${task}_$seed:$!")
done
failed=0
for run in "${runs[@]}"; do
    wait "${run#*:}" && cp "$out/runs/${run%:*}/report.json" "$out/${run%:*}.json" || failed=1
    tail -n 1 "$out/${run%:*}.log"
done
exit $failed
