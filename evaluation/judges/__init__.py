"""Judges: what re-classifies sounds. A judge is never the model that dreamed them.

To add a kind, write its loader and list it in `evaluation.judges.judge_kinds`.
"""
