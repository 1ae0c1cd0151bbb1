"""What a coordinator does to the federation and its runs, by a command or in the console; each is written down."""
