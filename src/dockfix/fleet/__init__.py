"""One change to many repositories: plan it, publish it as pull requests, see where each stands."""
