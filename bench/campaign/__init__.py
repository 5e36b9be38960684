"""What spans several runs: which are meant, which are history, what two sides of them say."""
