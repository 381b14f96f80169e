"""The outreach list: people whom a personalised care adjustment takes out of a rate, and out of nobody's sight."""
