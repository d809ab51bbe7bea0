"""What the lessons share. A line lives here if changing the thread model would not change it."""
