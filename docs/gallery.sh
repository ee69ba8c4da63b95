#!/usr/bin/env bash
# Makes the pictures of the README's gallery, from runs on generated strokes (20 minutes on 2 cores).
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-checkpoints/gallery}
metadrop=$runs/meta-dropout maml=$runs/maml

python -m tf_metadrop quickstart --out "$runs"
python main.py --savedir="$metadrop" --mode=export --query=15
for run in "$maml" "$metadrop"; do
    python main.py --savedir="$run" --mode=attack --metabatch=1 --n_test_iters=20 --attack_steps=20
done
python plot.py --savedir="$metadrop" --figure=boundary --figure=noise
python plot.py --savedir="$maml" --savedir="$metadrop" --figure=curves --figure=cost --figure=robustness --out="$runs/plot"
python -m tf_metadrop sweep flags/sweeps/strokes_inner_lr.yaml --out="$runs/sweep"
python -m tf_metadrop report "$maml" "$metadrop" --output="$runs/report.html"

mkdir -p docs/gallery
cp "$metadrop"/plot/steps/0.png docs/gallery/boundary.png
cp "$metadrop"/plot/noise/layer1.png docs/gallery/noise.png
cp "$runs"/plot/{curves,cost}.png "$runs/sweep/sweep.png" docs/gallery/
cp "$runs"/plot/robustness_*.png docs/gallery/robustness.png
