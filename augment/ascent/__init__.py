"""Dreaming: the recipe, its parts (objectives, transforms, updates, budgets, starts, tricks), and the loop over steps.

Each part has a table; to add one, write a function and list it there. No files, no Beam.
"""
