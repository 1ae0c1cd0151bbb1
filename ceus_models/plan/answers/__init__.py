"""The form of an answer: its tensors by kind of task, and their order in a secure sum."""
