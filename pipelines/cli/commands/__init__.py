"""One module for each command, with its options; it may import heavy libraries only inside the function that runs."""
