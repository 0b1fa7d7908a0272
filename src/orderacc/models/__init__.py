"""Models on disk and the devices they run on: what is where, what it knows, how to get what is missing."""
