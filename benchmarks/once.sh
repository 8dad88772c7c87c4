# For the scripts beside it, which set vla_mbpo and out: what is there is not done again.

once() { # NAME arguments of vla-mbpo; what it says is in OUT/NAME.json when it has ended well
  local said=$out/$1.json
  if [[ ! -e $said ]]; then
    "$vla_mbpo" "${@:2}" --json >"$said.part"
    mv "$said.part" "$said"
  fi
}

learn() { # NAME arguments of vla-mbpo train; its folder is OUT/NAME
  # what is there without its JSON was perhaps saved by half: it goes, and the training goes on from its last state
  [[ -e $out/$1.json ]] || rm -rf "$out/$1/policy" "$out/$1/world_model"
  once "$1" train "${@:2}" --out "$out/$1"
}
