"""What do the words mean? The shared vocabulary; imports nothing of ours."""
