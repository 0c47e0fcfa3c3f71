"""Models to dream through: the interface, YAMNet and its weights, models from files, heads, ensembles, and classes.

To add a kind of model, write its loader and list it in `augment.models.model_kinds`. Nothing here takes a gradient
step.
"""
