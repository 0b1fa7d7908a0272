"""A simulated hand-off counter: scripted orders, camera pictures, ground truth.

Serves demos, tests and the training of the demo models. Everything follows from a seed: the same seed gives the same
script and the same pixels.
"""
