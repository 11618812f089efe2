#!/usr/bin/env bash
# The whole experiment but its report, on a node that has no DVC, no MLflow and no network.
#
#   experiments/offline.sh FOLDER [key=value ...]
#   experiments/offline.sh runs/paper data.root=/data/cityscapes train.epochs=50 'seeds=[0]'
#
# The settings are those of params.yaml with the given changes; they and all outputs lie in FOLDER.
# Start it again after a kill, with the same words: what is finished is not done again, and a
# training goes on from its last checkpoint.
#
# Needs: Python 3.11 to 3.13 with torch, torchvision, numpy, pillow >= 11.3, safetensors,
#   pydantic, ruamel.yaml, tqdm, typer and constriction. PYTHON names another interpreter than
#   `python`.
# Data: a relative data.root is one below FOLDER.
# Leaves: carry FOLDER home; `data`, `features`, `streams` and `*.safetensors` may stay. At home,
#   from the root of the repository:
#     root=$PWD; (cd FOLDER && PYTHONPATH=$root uv run --project $root python -m stages.report)
#   The page is FOLDER/reports/index.html.
set -euo pipefail
if [ $# -lt 1 ]; then
    echo "usage: experiments/offline.sh FOLDER [key=value ...]" >&2
    exit 2
fi
python=${PYTHON:-python}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
cd "$1"
shift
export PYTHONPATH=$root
"$python" - "$root/params.yaml" tracking.enabled=false "$@" <<'PY'
import sys
from pathlib import Path
from ruamel.yaml import YAML

yaml, here = YAML(), Path("params.yaml")
values = yaml.load(Path(sys.argv[1]).read_text())
for change in sys.argv[2:]:
    key, _, text = change.partition("=")
    *section, last = key.split(".")
    place = values[section[0]] if section else values
    if last not in place:
        sys.exit(f"error: {key} is no setting of params.yaml")
    place[last] = yaml.load(text)
if here.exists() and yaml.load(here.read_text()) != values:
    sys.exit(f"error: {Path.cwd()} holds results of other settings; choose another folder")
yaml.dump(values, here)
PY
ln -sfn "$root/weights" weights

# Outputs appear whole, so what is there is finished; of a model its history comes last.
finish() { [ -e "$1" ] || "$python" -m "${@:2}"; }
finish data/streets stages.streets
finish data/prepared stages.prepare
finish streams/pictures stages.encode_pictures
mapfile -t models < <("$python" -c 'from stages.settings import *; print(*models(load()), sep="\n")')
for name in "${models[@]}"; do
    IFS=- read -r encoder arm seed <<<"$name"
    words=(--encoder "$encoder" --arm "$arm" --seed "$seed")
    finish "models/$name/history.csv" stages.train "${words[@]}"
    if [ "$arm" != picture ]; then
        finish "fitted/$name.npz" stages.fit "${words[@]}"
        finish "diagnostics/$name.npz" stages.export "${words[@]}"
        finish "streams/$name" stages.encode "${words[@]}"
    fi
    finish "evaluation/$name" stages.evaluate "${words[@]}"
    # Of the first seed, as that stage does.
    [ "$arm" = picture ] || finish "times/$encoder-$arm.json" stages.timing "${words[@]:0:4}"
done
