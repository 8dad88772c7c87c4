#!/usr/bin/env bash
# Table 1 with all its rows, on placing: what interleaved views, other tasks before, and the video rival are worth.
# Needs an autoencoder of all tasks, such as that of branched_ppo.sh. About an hour and a half on two quiet cores.
# What is there is not done again.
#
#   benchmarks/table1.sh runs/branched/world/autoencoder/model runs/table1
set -euo pipefail
autoencoder=${1:?Give the autoencoder that all begin with.}
out=${2:?Give a folder for the results.}
vla_mbpo=${VLA_MBPO:-.venv/bin/vla-mbpo}
others=(--task press_red press_blue push_yellow push_purple lift_red lift_green)
place=(--task place_plate place_bowl)
before=(--autoencoder "$autoencoder" "${others[@]}" --set steps=2000)
after=("${place[@]}" --episodes 100 --set steps=1000)
umm=(--set judged=16 dreamed=512)
export OMP_NUM_THREADS=1
source "$(dirname "$0")/once.sh"

mkdir -p "$out"
learn before world-model "${before[@]}" "${umm[@]}" arrival.dreams=0
learn before_no_ivd world-model --no-ivd "${before[@]}" "${umm[@]}" arrival.dreams=0
learn before_video world-model --model video "${before[@]}"
learn umm world-model --parent "$out/before/world_model" "${after[@]}" "${umm[@]}"
learn no_ivd world-model --parent "$out/before_no_ivd/world_model" "${after[@]}" "${umm[@]}"
learn no_pt world-model --autoencoder "$autoencoder" "${after[@]}" "${umm[@]}"
learn video world-model --model video --parent "$out/before_video/world_model" "${after[@]}"
rows=()
for name in umm no_ivd no_pt video; do rows+=(--model "$name=$out/$name/world_model"); done
once table reproduce table1 "${rows[@]}" "${place[@]}" --episodes 40 --out "$out/table"
