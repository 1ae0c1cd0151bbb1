"""What is told without looking: changes of the federation, by e-mail and webhooks."""
