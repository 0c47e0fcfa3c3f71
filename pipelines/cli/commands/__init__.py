"""A module for each command. It declares the command's options and runs it."""
