"""The metadata service: what a guest reads about itself at 169.254.169.254, and on its config drive."""
