"""Draw the figure of docs/utility.md from the figures that `dreambeam utility` wrote.

python docs/examples/draw_utility.py docs/utility.json docs/utility.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

ARMS = {
    "none": "clips as they are",
    "audiomentations": "… and audiomentations",
    "robust": "… and dreams (train_robust.yaml)",
    "robust_audiomentations": "… and both",
}
SETS = ("clean", "corrupted", "dreamed", "transferred")


def main(source: str, picture: str) -> None:
    """Draw the accuracies of a linear head that was trained on all clips, with their 95 % intervals."""
    rows = json.loads(Path(source).read_text(encoding="utf-8"))["rows"]
    found = {row["arm"]: row["sets"] for row in rows if row["classifier"] == "linear" and row["shots"] is None}
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(ARMS)
    for number, (arm, title) in enumerate(ARMS.items()):
        accuracies = [found[arm][name]["accuracy"] for name in SETS]
        values = [100 * each["value"] for each in accuracies]
        below = [100 * (each["value"] - each["low"]) for each in accuracies]
        above = [100 * (each["high"] - each["value"]) for each in accuracies]
        places = [place + (number - 1.5) * width for place in range(len(SETS))]
        axes.bar(places, values, width, yerr=[below, above], capsize=2, label=title)
    axes.set_xticks(range(len(SETS)), [f"{name} test clips" for name in SETS])
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(0, 100)
    figure.legend(title="a linear head on YAMNet, trained on", ncols=2, loc="outside upper center")
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
