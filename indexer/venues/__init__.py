"""How venues list what they trade. One file each, imported only by name."""
