"""Public facts about the world, one TOML row each, bound to the code that reads them."""
