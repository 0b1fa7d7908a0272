"""The words of the trade as plain values: frames, detections, orders, menus, evidence, verdicts.

Frozen, slotted dataclasses without behaviour that needs the outside world. Every other room speaks in these.
"""
