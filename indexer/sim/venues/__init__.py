"""What exchanges and brokers would answer: one file each for its wire shape, over real sockets."""
