"""How a definitions file is read: text to a tree with lines, tree to checked values.

`nodes` is the tree, `yaml_tree` and `json_tree` make it, `shapes` say what a value may be
(for the check and for the published JSON Schema alike), `fields` lists every field with its
help text, and `rules` holds what one field alone cannot know.
"""
