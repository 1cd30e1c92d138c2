"""Sign-in: who asks, what they hold, and what is granted to them."""
