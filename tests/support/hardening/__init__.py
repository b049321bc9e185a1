"""The commands that write, killed at random moments and run on full disks."""
