"""What happens to one batch of waveforms: models, objectives and transforms."""
