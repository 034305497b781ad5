"""What the text of a Dockerfile means: stages, state at each instruction, installs, copies."""
