"""What the longer commands do once their arguments are accepted. These modules may import TensorFlow and Beam."""
