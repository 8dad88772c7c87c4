#!/usr/bin/env bash
# What interleaved view decoding is worth: the same training with and without it, three seeds, over all tasks.
# Needs an autoencoder of all tasks, such as that of branched_ppo.sh. About an hour and a half on one quiet core.
# What is there is not done again.
#
#   benchmarks/ivd.sh runs/branched/world/autoencoder/model runs/ivd
set -euo pipefail
autoencoder=${1:?Give the autoencoder that all begin with.}
out=${2:?Give a folder for the results.}
vla_mbpo=${VLA_MBPO:-.venv/bin/vla-mbpo}
python=${PYTHON:-.venv/bin/python}
export OMP_NUM_THREADS=1
source "$(dirname "$0")/once.sh"

mkdir -p "$out"
rows=()
for seed in 0 1 2; do
  for name in ivd no_ivd; do
    [[ $name == ivd ]] && flags=() || flags=(--no-ivd)
    learn "${name}_$seed" world-model "${flags[@]}" --seed "$seed" --autoencoder "$autoencoder" \
      --set steps=1200 judged=16 dreamed=0 arrival.dreams=0
    rows+=(--model "${name}_$seed=$out/${name}_$seed/world_model")
  done
done
once table reproduce table1 "${rows[@]}" --pairs 40 --out "$out/table"
"$python" "$(dirname "$0")/ivd_differences.py" "$out/table/table1.json" | tee "$out/differences.md"
