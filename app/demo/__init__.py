"""Demo: the story of a shop on services of its own, and proof that nothing was lost or made up."""
