"""Configuration of the site: `hatch run docs:build`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "Weights & Biases for Flyte 2"
author = "the contributors"
copyright = author  # noqa: A001
html_title = project

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "markdown_docstrings",
    "public_api",
]
exclude_patterns = ["_build", "_extensions"]
html_theme = "furo"
html_theme_options = {"top_of_page_buttons": []}
html_show_sphinx = False
html_copy_source = False

# Headings get anchors as on GitHub, so links work in the repository and on the site.
myst_heading_anchors = 4
# ```sh and ```console are not executed here; their highlighter accepts anything.
highlight_language = "none"

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_rtype = False
# Names of the standard library and of dependencies: their documentation is on the network, which a build does without.
# The others are type variables and base classes that are not public.
nitpick_ignore_regex = [
    ("py:.*", r"(?!flyteplugins\.|wandb_).*"),
    ("py:.*", r"wandb_\w+\..*\.(F|P|R|S|T|Field|TaskError)"),
]
