"""Which few of an order's frames are worth asking the model about, and the evidence they make.

`visits.StationTracker` joins this room with the order tracker, so this room may import tracking.
"""
