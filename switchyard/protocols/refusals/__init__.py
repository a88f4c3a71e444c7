"""What refusals of upstreams mean, and which limits they reveal."""
