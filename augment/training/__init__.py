"""Dreams inside training: `tf.data` datasets."""
