"""How sure a number is: intervals of proportions and their differences, clustered lesions, many tests, equivalence."""
