"""The robustness curve as a table (curve.csv) and a simple picture (robustness.png)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_curves import Point

METRICS = {"accuracy": "accuracy", "map": "mean average precision"}
"""The figures of curves, and their names."""


def write_curve(folder: Path, points: Sequence[Point], clean: float, metric: str) -> None:
    """Write curve.csv and robustness.png into a folder; `clean` is the figure of the unchanged clips."""
    with open(folder / "curve.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Point)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)
    draw_curve(folder / "robustness.png", points, clean, metric)


def draw_curve(path: Path, points: Sequence[Point], clean: float, metric: str) -> None:
    """Draw accuracy against SNR, the smallest change at the left, dreams as lines and controls dashed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.axhline(clean, color="black", linewidth=0.8, label="unchanged")
    for name in dict.fromkeys(point.perturbation for point in points):
        own = [point for point in points if point.perturbation == name]
        snr = [point.snr_db for point in own]
        style = "-" if PERTURBATIONS[name].through else "--"
        (line,) = axes.plot(snr, [p.accuracy for p in own], style, marker="o", ms=3, label=PERTURBATIONS[name].title)
        axes.fill_between(snr, [p.low for p in own], [p.high for p in own], color=line.get_color(), alpha=0.12)
    axes.invert_xaxis()
    axes.set_xlabel("SNR of the sound against the change, dB")
    axes.set_ylabel(f"{METRICS[metric]}, 95 % intervals")
    axes.set_ylim(-0.02, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=120)
