"""Messages to sites through Flower."""
