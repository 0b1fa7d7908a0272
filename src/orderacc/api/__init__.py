"""The door: orders in, verdicts, events, pictures and health out, over HTTP."""
