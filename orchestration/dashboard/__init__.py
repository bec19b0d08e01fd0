"""What the marts say, for people with a browser; reading needs no JavaScript and no other host."""
