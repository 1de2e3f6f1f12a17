"""Speed, as ratios to the plain way."""
