"""Value equivalence: models, losses, policies, distances, the exact class."""
