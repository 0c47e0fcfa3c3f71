"""What keeps the bytes the same: seeded draws, operations that ignore the batch, and the arithmetic of a machine.

Nothing here knows of sounds, models or recipes.
"""
