"""Waveforms without models: checks, resampling, STFT, distance, encodings and pictures.

Nothing here opens a file, loads a model or knows of recipes.
"""
