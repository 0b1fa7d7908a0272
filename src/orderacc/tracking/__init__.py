"""Occupancy and the order tracker: pure state machines over observations.

No I/O, no pictures and no clock: time is the frame time an observation carries, so that a replay at any speed decides
the same.
"""
