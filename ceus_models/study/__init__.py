"""The names and rules that every site of a study shares."""
