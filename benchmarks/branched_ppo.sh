#!/usr/bin/env bash
# Branched PPO on placing: what a learnt dream gains beside what the simulator in its place would. Two seeds, with one
# play and with three. Needs the imitation policy of online_ppo.sh. About four hours on two quiet cores.
# What is there is not done again.
#
#   benchmarks/branched_ppo.sh runs/online_ppo/sft/policy runs/branched
set -euo pipefail
policy=${1:?Give the policy to begin with.}
out=${2:?Give a folder for the results.}
vla_mbpo=${VLA_MBPO:-.venv/bin/vla-mbpo}
place=(--task place_plate place_bowl)
export OMP_NUM_THREADS=1
source "$(dirname "$0")/once.sh"

mkdir -p "$out"
learn world world-model --policy "$policy" --set steps=5000
learn placing world-model --parent "$out/world/world_model" --policy "$policy" "${place[@]}" --episodes 600 \
  --set steps=2400 lr=1e-3 judged=16 dreamed=512
policies=("$policy")
for plays in 1 3; do
  for seed in 0 1; do
    for name in dream simulator; do
      model=$([[ $name == dream ]] && echo "$out/placing/world_model" || echo oracle_sim)
      learn "${name}_${plays}_$seed" policy --algorithm branched_ppo --parent "$policy" "${place[@]}" \
        --world-model "$model" --seed "$seed" --set evaluate_every=1 "plays=$plays"
      policies+=("$out/${name}_${plays}_$seed/policy")
    done
  done
done
once fresh policy evaluate "${policies[@]}" "${place[@]}" # on starts that no training looks at
for seed in 0 1; do # what the dream says of success on episodes of the policy that it has improved
  once "judged_$seed" reproduce table1 --model "placing=$out/placing/world_model" --policy "$out/dream_1_$seed/policy" \
    "${place[@]}" --episodes 100 --single 3000 --pairs 20 --out "$out/judged_$seed"
done
