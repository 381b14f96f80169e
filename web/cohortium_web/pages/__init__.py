"""Pages for people, one folder to a page area. Each works without JavaScript; htmx makes parts of them quicker."""
