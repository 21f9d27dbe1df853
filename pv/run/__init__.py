"""Running falsifiers in a supervised child process and judging what came of them."""
