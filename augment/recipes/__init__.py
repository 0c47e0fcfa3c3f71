"""Recipes: how a clip is dreamed, as one value, and the tables of the parts that a recipe names.

To add a part, write its function in `augment.ascent` and list it in `augment.recipes.tables`. No TensorFlow here.
"""
