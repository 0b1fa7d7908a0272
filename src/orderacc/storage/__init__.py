"""What is kept: evidence in an object store, and what is on its way there."""
