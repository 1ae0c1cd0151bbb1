"""Commands of a program: imported when they are called, read from their source where only help is asked for."""
