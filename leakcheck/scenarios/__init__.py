"""What is done in a round."""
