"""Who the numbers are about: flow of patients, missing data, differences between sites and between groups."""
