"""The engine process: start-up, signals, shutdown, and threads with a row on the board."""
