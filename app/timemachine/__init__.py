"""Time machine: looks back into the log and decides again. It reads; nothing it does changes what it looks at."""
