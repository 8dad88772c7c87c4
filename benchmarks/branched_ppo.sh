#!/usr/bin/env bash
# Branched PPO on placing: what a learnt dream gains beside what the simulator in its place would. Two seeds.
# Needs the imitation policy of online_ppo.sh. About two hours on two quiet cores. What is there is not done again.
#
#   benchmarks/branched_ppo.sh runs/online_ppo/sft/policy runs/branched
set -euo pipefail
policy=${1:?Give the policy to begin with.}
out=${2:?Give a folder for the results.}
vla_mbpo=${VLA_MBPO:-.venv/bin/vla-mbpo}
place=(--task place_plate place_bowl)
export OMP_NUM_THREADS=1

run() { # NAME arguments of train
  [[ -e $out/$1.json ]] || { "$vla_mbpo" train "${@:2}" --out "$out/$1" --json >"$out/$1.part" && mv "$out/$1.part" "$out/$1.json"; }
}

mkdir -p "$out"
run world world-model --policy "$policy" --set steps=5000
run placing world-model --parent "$out/world/world_model" --policy "$policy" "${place[@]}" --episodes 600 \
  --set steps=2400 lr=1e-3 judged=16 dreamed=512
for seed in 0 1; do
  for model in "$out/placing/world_model" oracle_sim; do
    name=$([[ $model == oracle_sim ]] && echo simulator || echo dream)
    run "${name}_$seed" policy --algorithm branched_ppo --parent "$policy" "${place[@]}" --world-model "$model" \
      --seed "$seed" --set evaluate_every=1
  done
done
# on starts that no training has looked at
"$vla_mbpo" policy evaluate "$policy" "$out"/{dream,simulator}_{0,1}/policy "${place[@]}" --json >"$out/fresh.json"
for seed in 0 1; do # what the dream says of success on episodes of the policy that it has improved
  "$vla_mbpo" reproduce table1 --model "placing=$out/placing/world_model" --policy "$out/dream_$seed/policy" \
    "${place[@]}" --episodes 100 --single 3000 --pairs 20 --out "$out/judged_$seed" --json >"$out/judged_$seed.json"
done
