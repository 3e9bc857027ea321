"""The tests. A package, as a dependency installs one of the same name that would stand before ours."""
