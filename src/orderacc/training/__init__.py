"""Makes the demo models from the simulator. Needs the `train` extra; nothing else in the package imports this.

- `python -m orderacc.training vlm`: the vision language model
- `python -m orderacc.training detector`: the item detector
- `python -m orderacc.training art`: the simulator's picture sheets
"""
