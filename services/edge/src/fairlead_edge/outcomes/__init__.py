"""What became of each call, on its way to the bus: journalled on this disk first, so that a kill -9 loses nothing."""
