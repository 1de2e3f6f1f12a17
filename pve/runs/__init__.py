"""One run on disk, killed anywhere and continued."""
