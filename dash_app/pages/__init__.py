"""What does each page look like before the first number comes? Pure functions from definitions to components.

Numbers are not rendered here: each sits in an element that says by `data-*` what it shows, and the assets fill it from
the push. An element that has had nothing says so.
"""
