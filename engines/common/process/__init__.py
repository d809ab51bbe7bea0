"""The engine process: start-up, signals, shutdown, and threads that own a row of the board."""
