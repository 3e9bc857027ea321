"""How protocols announce a pool. One file each; the list here is the registry."""
