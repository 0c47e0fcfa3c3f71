"""Dreaming by a recipe: objectives, transforms, updates, budgets, starts and tricks, and the loop over steps.

`augment.recipes.tables` lists what a recipe may name. No files, no Beam.
"""
