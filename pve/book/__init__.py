"""All that knows the book; nothing else in the package imports it."""
