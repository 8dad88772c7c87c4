#!/usr/bin/env bash
# Online PPO over all tasks from two demonstrations each: a trunk, the imitation policy, three seeds of trial.
# About an hour on two quiet cores. Everything that is measured is in OUT; what is there already is not done again.
#
#   benchmarks/online_ppo.sh runs/online_ppo
set -euo pipefail
out=${1:?Give a folder for the results.}
vla_mbpo=${VLA_MBPO:-.venv/bin/vla-mbpo}
export OMP_NUM_THREADS=1
source "$(dirname "$0")/once.sh"

mkdir -p "$out"
learn trunk trunk
learn sft policy --demos 2 --trunk "$out/trunk/policy" --set steps=800 batch=96 draws=2 frozen_trunk=true
for seed in 0 1 2; do
  learn "ppo_$seed" policy --algorithm online_ppo --parent "$out/sft/policy" --seed "$seed" --set evaluate_every=4
done
once fresh policy evaluate "$out"/{sft,ppo_0,ppo_1,ppo_2}/policy # on starts that no training looks at
