"""Joins the rooms into tasks: stations that watch, a queue of closed orders, judges, verdicts."""
