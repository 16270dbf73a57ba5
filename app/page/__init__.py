"""The page at `/ui/`: what a worker knows, for people, rendered here and served without a request to anywhere else."""
