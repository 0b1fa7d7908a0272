"""Asking a vision language model what is in a picture: the question, the engine, batching, the answer."""
